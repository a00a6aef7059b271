// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_folder.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "comm/common/error.h"
#include "comm/common/folder_lock.h"
#include "configs/yaml_reader.h"
#include "launcher/sweep_snapshot.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

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

Json to_json(const std::string& trial, const TrialRecord& record) {
  Json json = {{"trial", trial}, {"starts", record.starts}, {"seconds", record.seconds}};
  if (record.exit_code) json["exit_code"] = *record.exit_code;
  json["finished"] = record.finished;
  json["step"] = record.step;
  json["figures"] = record.figures;
  return json;
}

// Throws what nlohmann throws for a line of somebody else.
std::pair<std::string, TrialRecord> to_record(const Json& json) {
  TrialRecord record;
  record.starts = json.value("starts", 0);
  record.seconds = json.value("seconds", 0.0);
  if (json.contains("exit_code")) record.exit_code = json["exit_code"].get<int>();
  record.finished = json.value("finished", false);
  record.step = json.value("step", int64_t{0});
  record.figures = json.value("figures", Figures());
  return {json.at("trial").get<std::string>(), record};
}

}  // namespace

TrialRecord with_results(TrialRecord record, const fs::path& run_folder) {
  constexpr size_t kFewLines = 2;  // of a trainer's; the validations are what counts
  const RunMetrics metrics = read_metrics(run_folder, kFewLines);
  record.finished = metrics.finished();
  record.step = metrics.last_step();
  record.figures.clear();
  if (metrics.validation.empty()) return record;
  record.figures = metrics.validation.rbegin()->second;
  if (const auto best = metrics.highest_figure("top1")) record.figures["best_top1"] = best->first;
  return record;
}

SweepFolder::SweepFolder(const SweepFile& sweep, const std::vector<Trial>& trials, int only)
    : path_(sweep.output), sweep_(sweep), trials_(trials) {
  check_owner();
  if (only >= static_cast<int>(trials.size())) {
    throw ConfigError("--trial", fmt::format("{} is not one of {} trials", only, trials.size()),
                      fmt::format("give a number from 0 to {}", trials.size() - 1));
  }
  if (only >= 0) {
    check_trial(trials[static_cast<size_t>(only)]);
  } else if (only == kAllTrials) {
    for (const Trial& trial : trials) check_trial(trial);
  }
  read_journal();
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

void SweepFolder::prepare(int only) const {
  write_file(path_ / kSweepFile, snapshot_text(sweep_, trials_));
  if (only >= 0) {
    const Trial& trial = trials_[static_cast<size_t>(only)];
    return write_file(config(trial), to_yaml(trial.config));
  }
  for (const Trial& trial : trials_) {
    if (!fs::exists(config(trial))) write_file(config(trial), to_yaml(trial.config));
  }
}

TrialRecord SweepFolder::record(const Trial& trial) const {
  const auto found = records_.find(trial.name);
  return found == records_.end() ? TrialRecord{} : found->second;
}

void SweepFolder::write_record(const Trial& trial, const TrialRecord& record) {
  records_[trial.name] = record;
  append_to_file(journal(), to_json(trial.name, record).dump() + "\n");
}

bool SweepFolder::read_journal() {
  const std::string text = read_file(journal());
  const bool grown = text.size() > journal_read_;
  std::istringstream stream(text.substr(grown ? journal_read_ : text.size()));
  for (std::string line; std::getline(stream, line);) {
    try {
      auto [trial, record] = to_record(Json::parse(line));
      records_[trial] = std::move(record);
    } catch (const nlohmann::json::exception&) {  // torn
    }
  }
  journal_read_ = text.size();
  return grown;
}

std::vector<fs::path> trial_folders(const fs::path& folder) {
  std::vector<fs::path> folders;
  const Json json = read_json(folder / kSweepFile);
  if (!json.is_object() || !json.contains("trials") || !json["trials"].is_array()) return folders;
  for (Json name : json["trials"]) {
    if (name.is_object()) name = name.value("name", Json());
    if (name.is_string()) folders.push_back(folder / name.get<std::string>());
  }
  return folders;
}

}  // namespace resnext
