// The folder of a sweep: what it was made for, and how each trial stands.
//
// OUTPUT/sweep.json tells the sweep and its trials (sweep_snapshot.h); OUTPUT/TRIAL/ is the trial's
// run folder, with trial.yaml (its whole configuration, which `resnext_launcher run` takes).
// OUTPUT/trials.jsonl is the sweep's journal: one line each time that a trial starts or ends, with
// all that a leaderboard needs, so that nobody reads a thousand run folders for it; the last line
// of a trial counts. Whether a trial has finished is told by its run folder alone. Beside them lie
// the lock of the sweep that runs (sweep.lock), and what was submitted to Slurm (sweep_snapshot.h,
// sweep_submissions.h). Local. Throws ConfigError and OutputError. SPDX-License-Identifier:
// BSD-3-Clause
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/run_folder.h"
#include "launcher/sweep_trials.h"

namespace resnext {

// In place of the number of one trial.
inline constexpr int kAllTrials = -1;
inline constexpr int kNoTrial = -2;

inline constexpr const char* kSweepFile = "sweep.json";

// What the journal says of a trial.
struct TrialRecord {
  int starts = 0;
  std::optional<int> exit_code;  // of the last start; none while it runs
  double seconds = 0;            // of all starts
  bool finished = false;
  int64_t step = 0;
  Figures figures;  // of the last validation; and best_top1, the highest of all
};

// With what the run folder tells: finished, step and figures.
TrialRecord with_results(TrialRecord record, const std::filesystem::path& run_folder);

class SweepFolder {
 public:
  // Throws ConfigError when the folder belongs to another sweep, holds something else, or has one
  // of the trials with another configuration. Looks at trial `only` alone.
  // Changes nothing.
  SweepFolder(const SweepFile& sweep, const std::vector<Trial>& trials, int only = kAllTrials);

  // Writes sweep.json, and the trial.yaml of trial `only`, or of those that have none.
  void prepare(int only = kAllTrials) const;

  bool finished(const Trial& trial) const { return has_finished(folder(trial)); }
  TrialRecord record(const Trial& trial) const;
  // Adds a line to the journal.
  void write_record(const Trial& trial, const TrialRecord& record);
  // Reads what others have added; false when there was nothing.
  bool read_journal();

  std::filesystem::path folder(const Trial& trial) const { return path_ / trial.name; }
  std::filesystem::path config(const Trial& trial) const { return folder(trial) / "trial.yaml"; }
  const std::filesystem::path& path() const { return path_; }

 private:
  void check_owner() const;
  void check_trial(const Trial& trial) const;
  std::filesystem::path journal() const { return path_ / "trials.jsonl"; }

  std::filesystem::path path_;
  std::map<std::string, TrialRecord> records_;  // by trial
  size_t journal_read_ = 0;                     // bytes
  const SweepFile& sweep_;
  const std::vector<Trial>& trials_;
};

// The trials' folders, in order, when `folder` is that of a sweep; else nothing.
std::vector<std::filesystem::path> trial_folders(const std::filesystem::path& folder);

}  // namespace resnext
