// The loop over updates: asks what is due, and lets the learner, the log and the store do it.
//
// All public functions are COLLECTIVE. One thread. Errors are thrown (see comm/common/error.h).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "comm/communicator.h"
#include "configs/lr_schedule.h"
#include "configs/run_config.h"
#include "worker/learner.h"
#include "worker/record/meters.h"
#include "worker/record/run_log.h"
#include "worker/state/background_save.h"
#include "worker/state/course.h"
#include "worker/state/run_owner.h"
#include "worker/state/run_store.h"

namespace resnext {

// Whom a trainer works with. All outlive it.
struct TrainerParts {
  Communicator& communicator;
  Learner& learner;
  Meters& meters;
  int64_t global_batch;  // images of an update
  const DataRecord& data;
  RunIdentity identity;       // for snapshots
  LocalSnapshots* snapshots;  // on one rank of each host, where they are wanted; else null
  const RunOwner* owner;      // on rank 0, else null
  RunStore* store;            // on rank 0, else null
  RunLog* log;                // on rank 0, else null
  std::function<bool()> stop_signalled;     // this rank was asked to stop
  BackgroundSave::Runner save_runner = {};  // of a test
};

class Trainer {
 public:
  // Goes on from `progress`, which is a new run's when nothing was saved. `saved`: the run folder
  // has it, or there is nothing to have. `config` is the same on all ranks.
  Trainer(const RunConfig& config, TrainerParts parts, const Progress& progress, bool saved);

  // Trains to the end: kOk; or until a stop signal, with a checkpoint: kStopped. Throws
  // DivergedError after too many steps in a row that were not finite, or when what a checkpoint
  // would hold is not finite; OutputError when rank 0 could not write.
  ExitCode run();

  static constexpr int64_t kMaxSkippedSteps = 10;

 private:
  ExitCode loop();
  void begin();
  void train_step();
  void observe(const StepReport& report);
  void log_and_save();
  void log();
  void watch_ranks(bool warn);
  void validate();
  std::optional<Validation> validated_or_saved();
  bool is_best(const Accuracy& accuracy) const;
  void look_for_early_stop();
  void settle();
  [[noreturn]] void throw_stuck() const;
  SavedFile watched(const SavedFile& file);
  void save();
  void snapshot();
  Progress to_save();
  ExitCode finish();
  LoggedPlace place() const;
  // A step whose results are needed at once.
  bool anything_due() const;

  const RunConfig& config_;
  TrainerParts parts_;
  const Course course_;
  const LrSchedule schedule_;
  Progress progress_;
  BackgroundSave saver_;
  uint64_t tally_before_ = 0;         // of all ranks' images up to the last log line of this start
  uint64_t tally_saved_ = 0;          // of those before this start, since the last log line
  double lr_ = 0;                     // of the last step
  double gradient_norm_ = 0;          // of the last step, as in StepReport
  std::optional<Accuracy> accuracy_;  // that decides, of the place, while it is not saved
  bool stop_agreed_ = false;          // by all ranks
  bool ended_early_ = false;          // by run.early_stop
  bool saved_;                        // the place is in the run folder
};

}  // namespace resnext
