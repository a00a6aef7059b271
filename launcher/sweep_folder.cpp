// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_folder.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

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

constexpr const char* kJournal = "trials.jsonl";

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

SweepFolder::SweepFolder(const SweepFile& sweep, const std::vector<Trial>& trials, int only)
    : path_(sweep.output), journal_(path_ / kJournal), sweep_(sweep), trials_(trials) {
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
  journal_.read();
  halving_ = halve(sweep.stop, trials, journal_);
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

TrialRecord SweepFolder::with_results(TrialRecord record, const Trial& trial) const {
  return resnext::with_results(std::move(record), folder(trial), sweep_.stop);
}

void SweepFolder::write_record(const Trial& trial, const TrialRecord& record) {
  journal_.write(trial.name, record);
}

bool SweepFolder::read_journal() {
  const bool grown = journal_.read();
  if (grown) halving_ = halve(sweep_.stop, trials_, journal_);
  return grown;
}

void SweepFolder::decide() {
  halving_ = halve(sweep_.stop, trials_, journal_);
  for (const RungDecision& decision : halving_.made) {
    journal_.write(decision);
    spdlog::info("{}", describe(decision));
  }
  halving_.made.clear();
}

int SweepFolder::stopped_at(const Trial& trial) const {
  const auto found = halving_.stopped_at.find(trial.name);
  return found == halving_.stopped_at.end() ? 0 : found->second;
}

std::map<fs::path, int> stopped_trials(const fs::path& folder) {
  std::map<fs::path, int> rungs;
  try {
    const SweepSnapshot sweep = read_snapshot(folder / kSweepFile, 0, kNoTrial);
    SweepJournal journal(folder / kJournal);
    journal.read();
    const Halving halving = halve(sweep.sweep.stop, sweep.trials, journal);
    for (const auto& [trial, rung] : halving.stopped_at) rungs[folder / trial] = rung;
  } catch (const ConfigError&) {  // of a sweep that knew of no rungs
  }
  return rungs;
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
