// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/lock_owner.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "comm/common/host.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

std::string first_line(const std::string& path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  return line;
}

std::string this_system() {
  std::error_code error;
  const fs::path space = fs::read_symlink("/proc/self/ns/pid", error);
  return first_line("/proc/sys/kernel/random/boot_id") + " " + space.string();
}

// Field 22 of /proc/PID/stat; 0 when there is no such process, or only its zombie. The name of the
// program, field 2, may hold spaces and parentheses.
int64_t start_of(int64_t pid) {
  const std::string line = first_line(fmt::format("/proc/{}/stat", pid));
  const auto name_end = line.rfind(')');
  if (name_end == line.npos) return 0;
  std::istringstream rest(line.substr(name_end + 1));
  const std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
  constexpr size_t kState = 0;
  constexpr size_t kStart = 19;
  if (fields.size() <= kStart || fields[kState] == "Z" || fields[kState] == "X") return 0;
  return std::atoll(fields[kStart].c_str());
}

std::string this_job() {
  const char* job = std::getenv("SLURM_JOB_ID");
  if (job == nullptr) return "";
  const char* restarts = std::getenv("SLURM_RESTART_COUNT");
  return restarts == nullptr ? job : fmt::format("{}, restart {}", job, restarts);
}

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  char text[64] = {};
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &parts);
  return text;
}

std::string random_token() {
  std::random_device source;
  return fmt::format("{:08x}{:08x}", source(), source());
}

}  // namespace

LockOwner this_process(const std::string& program) {
  LockOwner owner;
  owner.program = program;
  owner.host = host_name();
  owner.system = this_system();
  owner.pid = ::getpid();
  owner.process_start = start_of(owner.pid);
  owner.job = this_job();
  owner.since = time_of_day();
  owner.token = random_token();
  return owner;
}

Liveness liveness_of(const LockOwner& owner) {
  if (owner.system != this_system()) return Liveness::kElsewhere;
  return start_of(owner.pid) == owner.process_start ? Liveness::kAlive : Liveness::kDead;
}

std::string to_json(const LockOwner& owner) {
  const nlohmann::ordered_json json = {
      {"program", owner.program}, {"host", owner.host},   {"pid", owner.pid},
      {"job", owner.job},         {"since", owner.since}, {"process_start", owner.process_start},
      {"system", owner.system},   {"token", owner.token}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::optional<LockOwner> parse_lock_owner(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    LockOwner owner;
    json.at("program").get_to(owner.program);
    json.at("host").get_to(owner.host);
    json.at("pid").get_to(owner.pid);
    json.at("job").get_to(owner.job);
    json.at("since").get_to(owner.since);
    json.at("process_start").get_to(owner.process_start);
    json.at("system").get_to(owner.system);
    json.at("token").get_to(owner.token);
    return owner;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::string describe(const LockOwner& owner) {
  return fmt::format("{}, process {} on host {}{}{}, since {}", owner.program, owner.pid,
                     owner.host, owner.job.empty() ? "" : ", job ", owner.job, owner.since);
}

}  // namespace resnext
