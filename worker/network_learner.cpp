// SPDX-License-Identifier: BSD-3-Clause
#include "worker/network_learner.h"

#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"
#include "model/weights/state_dict.h"
#include "worker/evaluator.h"
#include "worker/state/agreement.h"

namespace resnext {
namespace {

constexpr const char* kModelFile = "model.pt";
constexpr const char* kOptimizerFile = "optimizer.pt";

StateDict read_file(const SavedState& state, const char* name) {
  const auto file = state.files.find(name);
  const std::string path = (state.folder / name).string();
  if (file == state.files.end()) {
    throw CheckpointError(path, "is missing", "name another checkpoint, or set run.resume to auto");
  }
  return parse_state_dict(file->second, path);
}

// Weights that are not finite stay so: they must not take the place of checkpoints from which the
// run could go on.
SavedFile saved_file(const char* name, const StateDict& state, int64_t step) {
  return {name, [name, &state, step](const auto& sink) {
            if (!all_finite(state)) {
              throw DivergedError(fmt::format("step {}", step),
                                  "weights or momentum are not finite, so no checkpoint is written",
                                  "lower optimizer.base_lr or lengthen schedule.warmup_epochs");
            }
            write_state_dict(state, name, sink);
          }};
}

}  // namespace

NamedWeights read_weights(const ModelOptions& model, const SavedState* state) {
  if (state != nullptr) {
    return {read_file(*state, kModelFile), (state->folder / kModelFile).string()};
  }
  if (model.pretrained.empty()) return {};
  return {load_state_dict(model.pretrained, model.pretrained_key), model.pretrained};
}

ResNeXt make_model(const RunConfig& config, const SavedState* state, Communicator& communicator) {
  ResNeXt model(config.model, config.run.seed);
  on_rank_0(communicator, [&] {
    const NamedWeights weights = read_weights(config.model, state);
    if (weights.source.empty()) return;
    model.load(weights.state, weights.source, state == nullptr && config.model.reset_classifier);
  });
  return model;
}

std::unique_ptr<BatchInput> make_input(const Container& container, const DataRecord& data,
                                       const RunConfig& config, const Precision& precision,
                                       const BatchOptions& batch, const Communicator& communicator,
                                       at::Device device, bool training) {
  return std::make_unique<BatchInput>(
      make_loader(container, config, batch, communicator.rank(), communicator.size(), training,
                  host_allocator(device)),
      PixelNormaliser(data.mean, data.std, device, precision.compute_type(),
                      precision.channels_last()),
      device);
}

NetworkLearner::NetworkLearner(const RunConfig& config, const BatchOptions& batch,
                               const DataSets& sets, const DataRecord& data,
                               Communicator& communicator, const ComputeDevice& device,
                               Meters& meters, const Progress* progress, const SavedState* state)
    : communicator_(communicator),
      device_(device.torch()),
      precision_(config.precision, device_),
      model_(make_model(config, state, communicator)),
      reports_(device.is_gpu() ? StepReports::kStepsAhead : 0) {
  model_.to(device_, precision_.parameter_type(), precision_.channels_last());
  step_ = std::make_unique<TrainingStep>(
      config, precision_, model_, communicator, meters,
      progress != nullptr ? progress->bucket_order : std::vector<int64_t>{});
  if (progress != nullptr) restore(*progress, state);
  const auto input = [&](const Container& container, bool training) {
    return make_input(container, data, config, precision_, batch, communicator, device_, training);
  };
  train_input_ = input(*sets.train, /*training=*/true);
  if (sets.validation) validation_input_ = input(*sets.validation, /*training=*/false);
}

NetworkLearner::~NetworkLearner() = default;

// Weights and statistics come with the step's construction, momentum and counts here.
void NetworkLearner::restore(const Progress& progress, const SavedState* state) {
  on_rank_0(communicator_, [&] {
    step_->optimizer().load(read_file(*state, kOptimizerFile),
                            (state->folder / kOptimizerFile).string());
  });
  std::vector<at::Tensor> others;
  for (const auto& [name, momentum] : step_->optimizer().state_dict()) others.push_back(momentum);
  for (const auto& [name, tensor] : model_.state_dict()) {
    if (tensor.scalar_type() == at::kLong) others.push_back(tensor);  // counts of batches
  }
  broadcast_tensors(communicator_, others);
  step_->loss_scaler().restore(progress.loss_scale, progress.loss_scale_steps);
}

void NetworkLearner::step(int64_t step, double lr, bool stop) {
  step_->run(lr, stop, [this] {
    Input input = train_input_->next();
    tally_ += input.tally;
    return input;
  });
  last_step_ = step;
  reports_.push(step, step_->report());
}

std::optional<Accuracy> NetworkLearner::validate(const std::function<bool()>& stop) {
  return evaluate(model_, precision_, *validation_input_, communicator_, device_, stop);
}

void NetworkLearner::describe(Progress& progress) const {
  progress.bucket_order = step_->reducer().order();
  progress.loss_scale = step_->loss_scaler().scale().item<double>();
  progress.loss_scale_steps = step_->loss_scaler().clean_steps();
}

std::function<void()> NetworkLearner::make_room_to_copy() {
  model_copy_.make_room(model_.state_dict());
  optimizer_copy_.make_room(step_->optimizer().state_dict());
  return [this] {
    model_copy_.touch();
    optimizer_copy_.touch();
  };
}

// Statistics are equal on all ranks, so one rank's state is everybody's.
std::vector<SavedFile> NetworkLearner::copy() {
  return {saved_file(kModelFile, model_copy_.take(model_.state_dict()), last_step_),
          saved_file(kOptimizerFile, optimizer_copy_.take(step_->optimizer().state_dict()),
                     last_step_)};
}

uint64_t NetworkLearner::checksum() const {
  std::vector<at::Tensor> learned = model_.parameters();
  for (const auto& [name, momentum] : step_->optimizer().state_dict()) learned.push_back(momentum);
  std::vector<at::Tensor> all = whole_storages(learned);
  for (const at::Tensor& statistic : model_.statistics()) all.push_back(statistic);
  return checksum_of(all);
}

}  // namespace resnext
