// One start of a run, from the look at its folder to the exit code: what is built, in which order.
//
// COLLECTIVE. Rank 0 owns the folder, decides where to go on, and writes; all ranks train.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "comm/common/file_system.h"
#include "comm/communicator.h"
#include "configs/run_config.h"
#include "worker/learner.h"
#include "worker/record/run_log.h"
#include "worker/record/timeline.h"
#include "worker/state/run_owner.h"
#include "worker/state/run_store.h"
#include "worker/state/start_point.h"
#include "worker/trainer.h"

namespace resnext {

// What surrounds a run: the machine's own, or a test's.
struct Surroundings {
  FileSystem& files;
  bool leads = true;                     // this rank is the first of its host
  bool again = false;                    // the start repeats an earlier one by itself
  std::function<bool()> stop_signalled;  // this rank was asked to stop
  OwnerOptions owner = {};
  BackgroundSave::Runner save_runner = {};
};

class TrainingRun {
 public:
  // Makes what is trained, once it is known where the run goes on (`progress`; null at its begin):
  // COLLECTIVE. `state` on rank 0 alone.
  using MakeLearner = std::function<std::unique_ptr<Learner>(
      Meters& meters, const Progress* progress, const SavedState* state)>;

  // What is passed by reference must outlive this. Creates the run folder once nothing else can be
  // refused.
  TrainingRun(const RunConfig& config, const RunShape& shape, const DataRecord& data,
              Communicator& communicator, const Surroundings& around, const MakeLearner& make,
              bool on_gpu);

  ExitCode run() { return trainer_->run(); }

 private:
  RunStore* store() { return store_ ? &*store_ : nullptr; }
  RunLog* log() { return log_ ? &*log_ : nullptr; }
  LocalSnapshots* snapshots() { return snapshots_ ? &*snapshots_ : nullptr; }
  void take_folder();
  RunIdentity create_folder(const RunShape& shape);
  RunIdentity lost() const;

  const RunConfig& config_;
  Communicator& communicator_;
  const Surroundings around_;
  std::unique_ptr<RunOwner> owner_;          // on rank 0; released last
  std::optional<RunStore> store_;            // on rank 0
  std::optional<LocalSnapshots> snapshots_;  // on the first rank of a host
  StartPoint start_;
  std::optional<Timeline> timeline_;
  Meters meters_;
  std::unique_ptr<Learner> learner_;
  std::optional<RunLog> log_;  // on rank 0
  std::optional<Trainer> trainer_;
};

}  // namespace resnext
