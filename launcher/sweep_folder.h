// The folder of a sweep: what it was made for, and how each trial stands.
//
// OUTPUT/sweep.json names the sweep; OUTPUT/TRIAL/ is the trial's run folder, with trial.yaml (its
// whole configuration, which `resnext_launcher run` takes) and trial.json (starts, last exit code).
// Beside them lie the lock of the sweep that runs (sweep.lock), and what was submitted to Slurm
// (sweep_snapshot.h, sweep_submissions.h).
// Local. Throws ConfigError and OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launcher/run_folder.h"
#include "launcher/sweep_trials.h"

namespace resnext {

// What trial.json says.
struct TrialRecord {
  int starts = 0;
  std::optional<int> exit_code;  // of the last start; none while it runs
  double seconds = 0;            // of all starts
};

class SweepFolder {
 public:
  // Throws ConfigError when the folder belongs to another sweep, holds something else, or has one
  // of the trials with another configuration. Changes nothing.
  SweepFolder(const SweepFile& sweep, const std::vector<Trial>& trials);

  // Writes sweep.json and the trial.yaml of all trials.
  void prepare() const;

  bool finished(const Trial& trial) const { return read_metrics(folder(trial)).finished(); }
  TrialRecord record(const Trial& trial) const;
  void write_record(const Trial& trial, const TrialRecord& record) const;

  std::filesystem::path folder(const Trial& trial) const { return path_ / trial.name; }
  std::filesystem::path config(const Trial& trial) const { return folder(trial) / "trial.yaml"; }
  const std::filesystem::path& path() const { return path_; }

 private:
  void check_owner() const;
  void check_trial(const Trial& trial) const;

  std::filesystem::path path_;
  const SweepFile& sweep_;
  const std::vector<Trial>& trials_;
};

// The trials' folders, in order, when `folder` is that of a sweep; else nothing.
std::vector<std::filesystem::path> trial_folders(const std::filesystem::path& folder);

}  // namespace resnext
