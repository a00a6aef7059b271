// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/staging.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <cctype>
#include <cstdint>
#include <filesystem>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

// $1: folder, then for each file: its path, size and time; its copy's name; the names of copies of
// all its versions. A copy has its name only when it is whole, and the file did not change.
constexpr const char* kCopy = R"sh(set -e
unchanged() {
  [ "$(stat -L -c '%s %Y' -- "$file")" = "$version" ] || { echo "$file has changed" >&2; exit 1; }
}
is_whole() { [ "$(stat -c %s -- "$1" 2>/dev/null)" = "${version% *}" ]; }
mkdir -p "$1"; cd "$1"; shift
exec 9>>.staging.lock; flock 9
while [ $# -gt 0 ]; do
  file=$1 version=$2 copy=$3 family=$4; shift 4
  unchanged
  find . -maxdepth 1 -name "$family.partial-*" -delete
  find . -maxdepth 1 -name "$family" ! -name "$copy" -atime +7 -delete
  if is_whole "$copy"; then continue; fi
  cp -- "$file" "$copy.partial-$$"
  sync -- "$copy.partial-$$"
  unchanged
  is_whole "$copy.partial-$$"
  mv -- "$copy.partial-$$" "$copy"
done)sh";

// FNV-1a (Fowler, Noll, Vo), 64 bits, in hexadecimal.
std::string hash(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", value);
}

struct Source {
  std::string path;     // real
  std::string version;  // size in bytes and time in seconds, as stat(1) prints them
  std::string family;   // file name of all its copies: a pattern of find(1)
  std::string copy;     // file name
};

// Signs that mean something to find(1) or the shell become '_'; the hash tells files apart.
std::string plain_stem(const fs::path& file) {
  std::string stem = file.stem().string();
  for (char& c : stem) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.') c = '_';
  }
  return stem.empty() || stem.front() != '-' ? stem : "_" + stem;
}

Source look_at(const std::string& file) {
  std::error_code error;
  const fs::path real = fs::canonical(file, error);
  struct stat status {};
  if (error || ::stat(real.c_str(), &status) != 0) {
    throw DataError(file, "cannot be found", "correct the path, or mount its file system");
  }
  Source source;
  source.path = real.string();
  source.version = fmt::format("{} {}", status.st_size, status.st_mtim.tv_sec);
  const std::string name = fmt::format("{}-{}", plain_stem(real), hash(source.path));
  source.family = name + "-*.h5";
  source.copy = fmt::format("{}-{}.h5", name,
                            hash(fmt::format("{} {}", source.version, status.st_mtim.tv_nsec)));
  return source;
}

std::vector<std::string> once_a_host(const Allocation& allocation) {
  if (allocation.scheduler == Scheduler::kSlurm) {
    return {"srun", "--mpi=none", fmt::format("--nodes={}", allocation.nodes),
            fmt::format("--ntasks={}", allocation.nodes), "--ntasks-per-node=1"};
  }
  if (allocation.scheduler == Scheduler::kLocal) return {};
  std::vector<std::string> names;
  for (const Host& host : allocation.hosts) names.push_back(host.name);
  return {"mpirun", "--host", fmt::format("{}", fmt::join(names, ",")), "--map-by", "ppr:1:node"};
}

}  // namespace

StagePlan make_stage_plan(const Allocation& allocation, const RunConfig& config,
                          const std::string& folder) {
  StagePlan plan;
  std::vector<std::string> words;
  const auto stage = [&](const std::string& key, const std::vector<std::string>& addresses) {
    if (addresses.empty() || is_synthetic(addresses)) return;
    std::vector<std::string> copies;
    for (const std::string& address : addresses) {
      const auto [file, group] = parse_data_address(address);
      const Source source = look_at(file);
      words.insert(words.end(), {source.path, source.version, source.copy, source.family});
      copies.push_back(
          fmt::format("{}/{}{}", folder, source.copy, group == "/" ? "" : ":" + group));
    }
    plan.overrides.push_back(
        copies.size() == 1 ? fmt::format("data.{}={}", key, copies.front())
                           : fmt::format("data.{}=[\"{}\"]", key, fmt::join(copies, "\", \"")));
  };
  stage("train", config.data.train);
  stage("validation", config.data.validation);
  if (words.empty()) return plan;
  plan.argv = once_a_host(allocation);
  plan.argv.insert(plan.argv.end(), {"sh", "-c", kCopy, "stage", folder});
  plan.argv.insert(plan.argv.end(), words.begin(), words.end());
  return plan;
}

}  // namespace resnext
