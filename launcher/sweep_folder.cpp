// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_folder.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "comm/common/error.h"
#include "comm/common/folder_lock.h"
#include "configs/yaml_reader.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSweepFile = "sweep.json";
constexpr const char* kTrialFile = "trial.json";

Json read_json(const fs::path& path) {
  return Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
}

// The first line of `now` that is not the same in `before`.
std::string first_difference(const std::string& before, const std::string& now) {
  std::istringstream old_lines(before);
  std::istringstream new_lines(now);
  std::string old_line;
  std::string new_line;
  while (std::getline(new_lines, new_line)) {
    std::getline(old_lines, old_line);
    if (old_line != new_line) break;
  }
  const auto trimmed = [](const std::string& line) {
    const auto start = line.find_first_not_of(' ');
    return start == line.npos ? line : line.substr(start);
  };
  return fmt::format("'{}', now '{}'", trimmed(old_line), trimmed(new_line));
}

// Other than the lock of a sweep that is just about to begin.
bool has_content(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!entry.path().filename().string().starts_with(kSweepLock)) return true;
  }
  return false;
}

}  // namespace

SweepFolder::SweepFolder(const SweepFile& sweep, const std::vector<Trial>& trials)
    : path_(sweep.output), sweep_(sweep), trials_(trials) {
  check_owner();
  for (const Trial& trial : trials) check_trial(trial);
}

void SweepFolder::check_owner() const {
  if (!has_content(path_)) return;
  const Json json = read_json(path_ / kSweepFile);
  const std::string owner = json.is_object() ? json.value("sweep", "") : "";
  if (owner == sweep_.name) return;
  throw ConfigError(path_.string(),
                    owner.empty() ? "is not empty and not the folder of a sweep"
                                  : fmt::format("is the folder of another sweep, '{}'", owner),
                    fmt::format("name another 'output' in {}", sweep_.path));
}

void SweepFolder::check_trial(const Trial& trial) const {
  const std::string before = read_file(config(trial));
  const std::string now = to_yaml(trial.config);
  if (before.empty() || before == now) return;
  throw ConfigError(
      config(trial).string(),
      "the trial was made with other settings: " + first_difference(before, now),
      fmt::format("name another 'output' in {}, or remove the trial's folder", sweep_.path));
}

void SweepFolder::prepare() const {
  Json json = {{"sweep", sweep_.name}, {"file", sweep_.path}, {"metric", sweep_.metric}};
  json["trials"] = Json::array();
  for (const Trial& trial : trials_) json["trials"].push_back(trial.name);
  write_file(path_ / kSweepFile, json.dump(2) + "\n");
  for (const Trial& trial : trials_) write_file(config(trial), to_yaml(trial.config));
}

TrialRecord SweepFolder::record(const Trial& trial) const {
  const Json json = read_json(folder(trial) / kTrialFile);
  TrialRecord record;
  try {
    if (!json.is_object()) return record;
    record.starts = json.value("starts", 0);
    record.seconds = json.value("seconds", 0.0);
    if (json.contains("exit_code")) record.exit_code = json["exit_code"].get<int>();
  } catch (const nlohmann::json::exception&) {  // written by somebody else
  }
  return record;
}

void SweepFolder::write_record(const Trial& trial, const TrialRecord& record) const {
  Json json = {{"starts", record.starts}, {"seconds", record.seconds}};
  if (record.exit_code) json["exit_code"] = *record.exit_code;
  write_file(folder(trial) / kTrialFile, json.dump(2) + "\n");
}

std::vector<fs::path> trial_folders(const fs::path& folder) {
  std::vector<fs::path> folders;
  const Json json = read_json(folder / kSweepFile);
  if (!json.is_object() || !json.contains("trials") || !json["trials"].is_array()) return folders;
  for (const Json& name : json["trials"]) {
    if (name.is_string()) folders.push_back(folder / name.get<std::string>());
  }
  return folders;
}

}  // namespace resnext
