// Trains one network: the loop over steps, with logging, validation, checkpoints and stopping.
//
// All public functions are COLLECTIVE. One thread. Errors are thrown (see comm/common/error.h).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>

#include "comm/communicator.h"
#include "configs/run_config.h"
#include "model/resnext.h"
#include "worker/device/device.h"
#include "worker/evaluator.h"
#include "worker/input/batch_input.h"
#include "worker/input/data_sets.h"
#include "worker/record/meters.h"
#include "worker/record/run_log.h"
#include "worker/record/run_shape.h"
#include "worker/record/timeline.h"
#include "worker/state/checkpoint.h"
#include "worker/step/lr_schedule.h"
#include "worker/step/precision.h"
#include "worker/step/step_reports.h"
#include "worker/step/training_step.h"

namespace resnext {

// The checkpoint that run.resume names: the latest whole one of the run folder (auto), none, or
// one by its path. Local. Throws CheckpointError, or ConfigError when `none` would mix two runs.
std::optional<Checkpoint> find_checkpoint(const RunOptions& run);

// The network of `config`: from the checkpoint, else from model.pretrained, else initialised.
// Local.
ResNeXt make_model(const RunConfig& config, const std::optional<Checkpoint>& checkpoint);

// The validation split's batches for this rank, on its device; null without that split. `batch` is
// resolved. Local.
std::unique_ptr<BatchInput> make_validation_input(const DataSets& data, const RunConfig& config,
                                                  const BatchOptions& batch,
                                                  const Precision& precision,
                                                  const Communicator& communicator,
                                                  at::Device device);

class Trainer {
 public:
  // Builds the network (from a checkpoint, pretrained weights or its initialisation, equal on all
  // ranks) and all that trains it. `config` has its classes resolved; what is passed by
  // reference must outlive this. Creates the run folder last, once nothing else can be refused.
  Trainer(const RunConfig& config, const RunShape& shape, const DataSets& data,
          Communicator& communicator, const ComputeDevice& device);

  // Trains to the end: kOk; or until a stop signal, with a checkpoint: kStopped. Throws
  // DivergedError after too many steps in a row that were not finite, or when what a checkpoint
  // would hold is not finite.
  ExitCode run();

  // One step over the next global batch.
  void train_step();

  static constexpr int64_t kMaxSkippedSteps = 10;

 private:
  ExitCode loop();
  void restore(const Checkpoint& checkpoint);
  void advance();
  void observe(const StepReport& report);
  void log_and_save();
  void evaluate_and_log();
  void save();
  bool finished() const { return progress_.step >= shape_.total_steps; }
  bool epoch_ended() const { return progress_.cursor.step == 0; }
  bool log_due() const;
  bool validation_due() const;
  bool save_due() const;

  const RunConfig& config_;
  const RunShape& shape_;
  Communicator& communicator_;
  at::Device device_;
  CheckpointFolder checkpoints_;
  Precision precision_;
  LrSchedule schedule_;
  Progress progress_;
  std::unique_ptr<Timeline> timeline_;  // none unless log.timeline
  Meters meters_;
  std::optional<ResNeXt> model_;
  std::unique_ptr<TrainingStep> step_;
  StepReports reports_;
  std::unique_ptr<BatchInput> train_input_;
  std::unique_ptr<BatchInput> validation_input_;  // none without a validation split
  bool stop_agreed_ = false;                      // by all ranks
  int64_t skipped_steps_ = 0;                     // in a row
  int64_t saved_step_ = 0;                        // there is nothing to save before the first step
  std::unique_ptr<RunLog> log_;
};

}  // namespace resnext
