// The journal of a sweep, OUTPUT/trials.jsonl: a line each time that a trial starts or ends, with
// all that a leaderboard needs, and a line for each decision of who goes on behind a rung.
//
// Of a trial and of a rung the last line counts. Lines are appended whole, also by several
// processes at a time; a torn one is passed over. Local. Throws OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "configs/sweep_reader.h"
#include "launcher/run_folder.h"

namespace resnext {

// What the journal says of a trial.
struct TrialRecord {
  int starts = 0;
  std::optional<int> exit_code;  // of the last start; none while it runs
  double seconds = 0;            // of all starts
  bool finished = false;
  bool paused = false;  // at a rung
  int64_t step = 0;
  Figures figures;  // of the last validation; and best_top1, the highest of all
  std::map<int64_t, std::optional<double>> rungs;  // epochs of those reached -> the rule's metric
};

// With what the run folder tells: finished, paused, step, figures and rungs.
TrialRecord with_results(TrialRecord record, const std::filesystem::path& run_folder,
                         const StopRule& rule);

// Who goes on behind a rung, and what that was decided from (sweep_halving.h).
struct RungDecision {
  int rung = 0;  // from 1
  int64_t epochs = 0;
  std::string metric;
  Goal goal = Goal::kMax;
  double keep = 0;
  std::vector<std::pair<std::string, std::optional<double>>> scores;  // of groups of trials
  std::vector<std::string> kept;                                      // groups, the best first
};

class SweepJournal {
 public:
  explicit SweepJournal(std::filesystem::path file) : file_(std::move(file)) {}

  // Reads what has been added; false when there was nothing.
  bool read();
  TrialRecord record(const std::string& trial) const;
  // None: it was never decided.
  const RungDecision* decision(int rung) const;
  void write(const std::string& trial, const TrialRecord& record);
  void write(const RungDecision& decision);

 private:
  void take(const std::string& line);

  std::filesystem::path file_;
  size_t read_ = 0;                             // bytes
  std::map<std::string, TrialRecord> records_;  // by trial
  std::map<int, RungDecision> decisions_;       // by rung
};

}  // namespace resnext
