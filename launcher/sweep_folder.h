// The folder of a sweep: what it was made for, and how each trial stands.
//
// OUTPUT/sweep.json tells the sweep and its trials (sweep_snapshot.h); OUTPUT/TRIAL/ is the trial's
// run folder, with trial.yaml (its whole configuration, which `resnext_launcher run` takes).
// OUTPUT/trials.jsonl is the sweep's journal (sweep_journal.h), of which the leaderboard is made,
// so that nobody reads a thousand run folders for it. Whether a trial has finished is told by its
// run folder alone, whether it was stopped at a rung by the journal. Beside them lie the lock of
// the sweep that runs (sweep.lock), and what was submitted to Slurm (sweep_snapshot.h,
// sweep_submissions.h). Local. Throws ConfigError and OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "launcher/run_folder.h"
#include "launcher/sweep_halving.h"
#include "launcher/sweep_journal.h"
#include "launcher/sweep_trials.h"

namespace resnext {

// In place of the number of one trial.
inline constexpr int kAllTrials = -1;
inline constexpr int kNoTrial = -2;

inline constexpr const char* kSweepFile = "sweep.json";

class SweepFolder {
 public:
  // Throws ConfigError when the folder belongs to another sweep, holds something else, or has one
  // of the trials with another configuration. Looks at trial `only` alone.
  // Changes nothing.
  SweepFolder(const SweepFile& sweep, const std::vector<Trial>& trials, int only = kAllTrials);

  // Writes sweep.json, and the trial.yaml of trial `only`, or of those that have none.
  void prepare(int only = kAllTrials) const;

  bool finished(const Trial& trial) const { return has_finished(folder(trial)); }
  // Nothing is left to do for it: finished, or stopped at a rung.
  bool done(const Trial& trial) const { return stopped_at(trial) > 0 || finished(trial); }
  TrialRecord record(const Trial& trial) const { return journal_.record(trial.name); }
  // Adds a line to the journal.
  void write_record(const Trial& trial, const TrialRecord& record);
  // The record with what the trial's run folder tells.
  TrialRecord with_results(TrialRecord record, const Trial& trial) const;
  // Reads what others have added; false when there was nothing.
  bool read_journal();
  // Writes down what can be decided by now.
  void decide();
  // As it stands by the journal.
  const Halving& halving() const { return halving_; }
  int stopped_at(const Trial& trial) const;  // rung, from 1; 0: not stopped

  std::filesystem::path folder(const Trial& trial) const { return path_ / trial.name; }
  std::filesystem::path config(const Trial& trial) const { return folder(trial) / "trial.yaml"; }
  const std::filesystem::path& path() const { return path_; }

 private:
  void check_owner() const;
  void check_trial(const Trial& trial) const;

  std::filesystem::path path_;
  SweepJournal journal_;
  Halving halving_;
  const SweepFile& sweep_;
  const std::vector<Trial>& trials_;
};

// The rungs at which trials of the sweep in `folder` were stopped, by their folders.
std::map<std::filesystem::path, int> stopped_trials(const std::filesystem::path& folder);

// The trials' folders, in order, when `folder` is that of a sweep; else nothing.
std::vector<std::filesystem::path> trial_folders(const std::filesystem::path& folder);

}  // namespace resnext
