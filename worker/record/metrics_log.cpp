// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/metrics_log.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "comm/common/error.h"

namespace resnext {
namespace {

[[noreturn]] void refuse(const std::string& path) {
  throw OutputError(path, std::string("cannot be written: ") + std::strerror(errno),
                    "free space or correct the permissions, then start the run again");
}

// Lines of `path` that a run which continues after `step` steps keeps.
std::vector<std::string> lines_until(const std::string& path, int64_t step) {
  std::vector<std::string> kept;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object() || event.value("event", "") == "end") continue;
    if (event.value("step", int64_t{0}) <= step) kept.push_back(line);
  }
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(std::string path, int64_t step) : path_(std::move(path)) {
  const std::string fresh = path_ + ".partial";
  stream_.open(fresh, std::ios::trunc);
  for (const std::string& line : lines_until(path_, step)) stream_ << line << '\n';
  stream_.flush();
  std::error_code error;
  if (stream_) std::filesystem::rename(fresh, path_, error);
  if (!stream_ || error) refuse(path_);
}

void MetricsLog::write(const nlohmann::ordered_json& event) {
  stream_ << event.dump() << '\n' << std::flush;
  if (!stream_) refuse(path_);
}

}  // namespace resnext
