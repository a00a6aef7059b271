// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/metrics_log.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "worker/record/writing.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

bool holds(const std::string& line, const KeptLines& kept) {
  const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!event.is_object()) return false;
  try {
    const int64_t step = event.value("step", int64_t{0});
    if (step != kept.until) return step < kept.until;
    return kept.validated || !event.value("event", "").ends_with("validation");
  } catch (const nlohmann::json::exception&) {  // a line of somebody else's
    return true;
  }
}

// metrics.1.jsonl, metrics.2.jsonl, ...
fs::path free_name(FileSystem& files, const fs::path& path) {
  for (int number = 1;; ++number) {
    const fs::path name = path.parent_path() / fmt::format("metrics.{}.jsonl", number);
    if (!files.exists(name)) return name;
  }
}

void keep(FileSystem& files, const fs::path& path, const KeptLines& kept) {
  if (!files.exists(path)) return;
  const std::string before = files.read(path);
  std::string lines;
  std::istringstream stream(before);
  for (std::string line; std::getline(stream, line);) {
    if (holds(line, kept)) lines += line + '\n';
  }
  if (lines == before) return;
  if (kept.set_aside) files.replace(free_name(files, path), before);
  files.replace(path, lines);
}

}  // namespace

MetricsLog::MetricsLog(FileSystem& files, fs::path path, const KeptLines& kept)
    : path_(std::move(path)) {
  writing(path_, [&] {
    keep(files, path_, kept);
    file_ = files.append(path_);
    files.sync_folder(path_.parent_path());
  });
}

void MetricsLog::write(const nlohmann::ordered_json& event) {
  writing(path_, [&] { file_->write(event.dump() + "\n"); });
}

void MetricsLog::sync() {
  writing(path_, [&] { file_->sync(); });
}

}  // namespace resnext
