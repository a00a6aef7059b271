// Trains one network: the loop over steps, with logging, validation, checkpoints and stopping.
//
// All public functions are COLLECTIVE. One thread. Errors are thrown (see comm/common/error.h).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>

#include "comm/communicator.h"
#include "comm/gradient_reducer.h"
#include "comm/tensor_collectives.h"
#include "configs/run_config.h"
#include "data/data_loader.h"
#include "model/resnext.h"
#include "worker/checkpoint.h"
#include "worker/data_sets.h"
#include "worker/evaluator.h"
#include "worker/lr_schedule.h"
#include "worker/meters.h"
#include "worker/optimizer.h"
#include "worker/precision.h"
#include "worker/run_log.h"
#include "worker/run_shape.h"
#include "worker/timeline.h"

namespace resnext {

// The checkpoint that run.resume names: the latest whole one of the run folder (auto), none, or
// one by its path. Local. Throws CheckpointError, or ConfigError when `none` would mix two runs.
std::optional<Checkpoint> find_checkpoint(const RunOptions& run);

// The network of `config`: from the checkpoint, else from model.pretrained, else initialised.
// Local.
ResNeXt make_model(const RunConfig& config, const std::optional<Checkpoint>& checkpoint);

class Trainer {
 public:
  // Builds the network (from a checkpoint, pretrained weights or its initialisation, equal on all
  // ranks) and all that trains it. `config` has its classes resolved; what is passed by reference
  // must outlive this. Creates the run folder last, once nothing else can be refused.
  Trainer(const RunConfig& config, const RunShape& shape, const DataSets& data,
          Communicator& communicator, at::Device device);

  // Trains to the end: kOk; or until a stop signal, with a checkpoint: kStopped. Throws
  // DivergedError after kMaxSkippedSteps steps in a row without a finite loss, or when what a
  // checkpoint would hold is not finite.
  ExitCode run();

  // One step over the next global batch: forward, backward with the gradients summed as they become
  // ready, optimizer. A step whose loss is not finite changes nothing but the cursor.
  void train_step();

  static constexpr int64_t kMaxSkippedSteps = 10;

 private:
  ExitCode loop();
  void restore();
  void forward_backward(bool last_micro_batch);
  void finish_step(double loss);
  bool step_counts(double loss);
  void after_step();
  void evaluate_and_log();
  void save();
  bool finished() const { return progress_.step >= shape_.total_steps; }
  bool epoch_ended() const { return progress_.cursor.step == 0; }
  bool save_due() const;

  const RunConfig& config_;
  const RunShape& shape_;
  Communicator& communicator_;
  CheckpointFolder checkpoints_;
  Precision precision_;
  std::optional<Checkpoint> checkpoint_;  // while it is being restored
  ResNeXt model_;
  at::Tensor loss_;  // [] of this step, mean over micro-batches and, once averaged, ranks
  at::Tensor stop_;  // [] > 0 when any rank was asked to stop, once averaged
  Progress progress_;
  std::unique_ptr<GradientReducer> reducer_;
  std::unique_ptr<TensorAverager> averager_;
  std::unique_ptr<Optimizer> optimizer_;
  LrSchedule schedule_;
  std::unique_ptr<DataLoader> train_loader_;
  std::unique_ptr<DataLoader> validation_loader_;  // none without a validation split
  std::unique_ptr<Timeline> timeline_;             // none unless log.timeline
  Meters meters_;
  int64_t skipped_steps_ = 0;  // in a row
  int64_t saved_step_ = 0;     // there is nothing to save before the first step
  std::unique_ptr<RunLog> log_;
};

}  // namespace resnext
