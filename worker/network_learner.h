// The network and all that trains and validates it on this rank's device.
//
// Every rank has the same network: rank 0 gives it its first values. All functions as in learner.h.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "comm/communicator.h"
#include "configs/run_config.h"
#include "model/network/resnext.h"
#include "worker/device/device.h"
#include "worker/input/batch_input.h"
#include "worker/input/data_sets.h"
#include "worker/learner.h"
#include "worker/record/meters.h"
#include "worker/state/host_copy.h"
#include "worker/step/precision.h"
#include "worker/step/step_reports.h"
#include "worker/step/training_step.h"
#include "worker/step/weight_average.h"

namespace resnext {

// Which of the weights that a checkpoint holds.
enum class SavedWeights { kTrained, kAverage };

// Weights and the file that they are of, for errors.
struct NamedWeights {
  StateDict state;
  std::string source;
};

// The weights of `state`, else of model.pretrained; empty when there is neither. Local. Throws
// CheckpointError.
NamedWeights read_weights(const ModelOptions& model, const SavedState* state,
                          SavedWeights which = SavedWeights::kTrained);

// COLLECTIVE. The network of `config`: on rank 0 with the weights of `state`, else of
// model.pretrained, else initialised; on the others it awaits rank 0's. `state` may be null.
ResNeXt make_model(const RunConfig& config, const SavedState* state, Communicator& communicator,
                   SavedWeights which = SavedWeights::kTrained);

// A split's batches for this rank, normalised as `data` says. `batch` is resolved. Local.
std::unique_ptr<BatchInput> make_input(const Container& container, const DataRecord& data,
                                       const RunConfig& config, const Precision& precision,
                                       const BatchOptions& batch, const Communicator& communicator,
                                       at::Device device, bool training, HostShare host = {},
                                       LoaderObserver observer = {});

class NetworkLearner final : public Learner {
 public:
  // COLLECTIVE. `norms`: the ranks that share BN's statistics; null where each has its own. `host`:
  // this rank's place on its host. `progress` and, on rank 0, `state` are where the run goes on;
  // null at its begin. What is passed by reference must outlive this, but for those two.
  NetworkLearner(const RunConfig& config, const BatchOptions& batch, const DataSets& sets,
                 const DataRecord& data, Communicator& communicator, NormRanks* norms,
                 const ComputeDevice& device, HostShare host, Meters& meters,
                 const Progress* progress, const SavedState* state);
  ~NetworkLearner() override;

  void start(const Position& position) override { train_input_->start(position); }
  void step(const StepRequest& request) override;
  std::vector<StepReport> reports(bool all) override { return reports_.take(all); }
  std::optional<Validation> validate(const std::function<bool()>& stop) override;
  void describe(Progress& progress) const override;
  std::function<void()> make_room_to_copy() override;
  std::vector<SavedFile> copy() override;
  uint64_t tally() const override { return tally_; }
  uint64_t checksum() const override;
  std::vector<NamedValues> gradient_norms() const override { return step_->gradient_norms(); }
  Picture take_picture() override;

 private:
  void make_average(const RunConfig& config);
  void restore(const Progress& progress, const SavedState* state);
  void restore_average(const SavedState* state);

  Communicator& communicator_;
  at::Device device_;
  Precision precision_;
  mutable ResNeXt model_;
  std::unique_ptr<TrainingStep> step_;
  std::unique_ptr<WeightAverage> average_;  // none without ema.decay
  int64_t global_batch_;
  StepReports reports_;
  std::unique_ptr<BatchInput> train_input_;
  std::unique_ptr<BatchInput> validation_input_;  // none without a validation split
  std::array<double, 3> mean_, std_;              // of the training split's pixels
  uint64_t tally_ = 0;
  int64_t last_step_ = 0;
  HostCopy model_copy_, optimizer_copy_, average_copy_;
};

}  // namespace resnext
