// SPDX-License-Identifier: BSD-3-Clause
#include "worker/network_learner.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include "comm/common/error.h"
#include "comm/common/file_system.h"
#include "comm/tensor_collectives.h"
#include "model/weights/state_dict.h"
#include "worker/evaluator.h"
#include "worker/input/input_picture.h"
#include "worker/state/agreement.h"
#include "worker/state/manifest.h"

namespace resnext {
namespace {

constexpr const char* kModelFile = "model.pt";
constexpr const char* kOptimizerFile = "optimizer.pt";
constexpr const char* kAverageFile = "ema.pt";

StateDict read_file(const SavedState& state, const char* name) {
  const auto file = state.files.find(name);
  const std::string path = (state.folder / name).string();
  if (file == state.files.end()) {
    throw CheckpointError(
        path, "is missing",
        std::string_view(name) == kAverageFile
            ? "leave ema.evaluate out, or name a checkpoint of a run with ema.decay"
            : "name another checkpoint, or set run.resume to auto");
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

// A track each for the decoder threads.
LoaderObserver decoder_tracks(Timeline* timeline) {
  if (timeline == nullptr) return nullptr;
  return [timeline](int64_t thread, int64_t images, auto begin, auto end) {
    timeline->add(fmt::format("decoder {}", thread), fmt::format("{} images", images), begin, end);
  };
}

// A classifier that is kept knows the classes of the data that it was trained with.
void warn_of_other_classes(const ModelOptions& model, const DataRecord& data) {
  if (model.pretrained.empty() || model.reset_classifier) return;
  const auto theirs = data_of_weights(posix_files(), model.pretrained);
  if (!theirs || theirs->class_names.empty() || theirs->class_names == data.class_names) return;
  spdlog::warn(
      "{} was trained on other classes, or in another order: model.reset_classifier=true leaves "
      "its classifier out",
      model.pretrained);
}

}  // namespace

NamedWeights read_weights(const ModelOptions& model, const SavedState* state, SavedWeights which) {
  if (state != nullptr) {
    const char* name = which == SavedWeights::kAverage ? kAverageFile : kModelFile;
    return {read_file(*state, name), (state->folder / name).string()};
  }
  if (model.pretrained.empty()) return {};
  return {load_state_dict(model.pretrained, model.pretrained_key), model.pretrained};
}

ResNeXt make_model(const RunConfig& config, const SavedState* state, Communicator& communicator,
                   SavedWeights which) {
  ResNeXt model(config.model, config.run.seed);
  on_rank_0(communicator, [&] {
    const NamedWeights weights = read_weights(config.model, state, which);
    if (weights.source.empty()) return;
    model.load(weights.state, weights.source, state == nullptr && config.model.reset_classifier);
  });
  return model;
}

std::unique_ptr<BatchInput> make_input(const Container& container, const DataRecord& data,
                                       const RunConfig& config, const Precision& precision,
                                       const BatchOptions& batch, const Communicator& communicator,
                                       at::Device device, bool training, HostShare host,
                                       LoaderObserver observer) {
  return std::make_unique<BatchInput>(
      make_loader(container, config, batch, communicator.rank(), communicator.size(), training,
                  host_allocator(device), host, std::move(observer)),
      PixelNormaliser(data.mean, data.std, device, precision.compute_type(),
                      precision.channels_last()),
      device);
}

NetworkLearner::NetworkLearner(const RunConfig& config, const BatchOptions& batch,
                               const DataSets& sets, const DataRecord& data,
                               Communicator& communicator, NormRanks* norms,
                               const ComputeDevice& device, HostShare host, Meters& meters,
                               const Progress* progress, const SavedState* state)
    : communicator_(communicator),
      device_(device.torch()),
      precision_(config.precision, device_),
      model_(make_model(config, state, communicator)),
      global_batch_(batch.global),
      reports_(device.is_gpu() ? StepReports::kStepsAhead : 0),
      mean_(data.mean),
      std_(data.std) {
  if (progress == nullptr && communicator.rank() == 0) warn_of_other_classes(config.model, data);
  model_.to(device_, precision_.parameter_type(), precision_.channels_last());
  if (norms != nullptr) model_.normalise_over(*norms);
  step_ = std::make_unique<TrainingStep>(
      config, precision_, model_, communicator, meters,
      progress != nullptr ? progress->bucket_order : std::vector<int64_t>{},
      class_weights(sets, config.data, config.model.classes));
  if (config.ema.decay > 0) make_average(config);
  if (progress != nullptr) restore(*progress, state);
  const auto input = [&](const Container& container, bool training) {
    return make_input(container, data, config, precision_, batch, communicator, device_, training,
                      host, training ? decoder_tracks(meters.timeline()) : nullptr);
  };
  train_input_ = input(*sets.train, /*training=*/true);
  if (sets.validation) validation_input_ = input(*sets.validation, /*training=*/false);
}

NetworkLearner::~NetworkLearner() = default;

void NetworkLearner::make_average(const RunConfig& config) {
  ResNeXt network(config.model, config.run.seed);
  network.to(device_, precision_.parameter_type(), precision_.channels_last());
  average_ = std::make_unique<WeightAverage>(config.ema, std::move(network), model_);
}

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
  if (average_) restore_average(state);
}

// Of a run that had none it begins as a copy of the weights.
void NetworkLearner::restore_average(const SavedState* state) {
  on_rank_0(communicator_, [&] {
    if (state->files.contains(kAverageFile)) {
      average_->load(read_file(*state, kAverageFile), (state->folder / kAverageFile).string());
    } else {
      spdlog::info("the checkpoint has no {}: the average begins with its weights", kAverageFile);
      average_->copy_model();
    }
  });
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : average_->state_dict()) tensors.push_back(tensor);
  broadcast_tensors(communicator_, tensors);
}

void NetworkLearner::step(const StepRequest& request) {
  step_->draw(request.position);
  step_->ask_gradient_norms(request.observed);
  step_->run(request.lr, request.stop, [this] {
    Input input = train_input_->next();
    tally_ += input.tally;
    return input;
  });
  if (average_) average_->follow(request.position, global_batch_);
  last_step_ = request.step;
  reports_.push(request.step, step_->report());
}

std::optional<Validation> NetworkLearner::validate(const std::function<bool()>& stop) {
  const auto accuracy_of = [&](const ResNeXt& network) {
    return evaluate(network, precision_, *validation_input_, communicator_, device_, stop);
  };
  const std::optional<Accuracy> weights = accuracy_of(model_);
  if (!weights || !average_)
    return weights ? std::optional(Validation{*weights, {}}) : std::nullopt;
  const std::optional<Accuracy> average = accuracy_of(average_->network());
  return average ? std::optional(Validation{*weights, average}) : std::nullopt;
}

void NetworkLearner::describe(Progress& progress) const {
  progress.bucket_order = step_->reducer().order();
  progress.loss_scale = step_->loss_scaler().scale().item<double>();
  progress.loss_scale_steps = step_->loss_scaler().clean_steps();
}

std::function<void()> NetworkLearner::make_room_to_copy() {
  model_copy_.make_room(model_.state_dict());
  optimizer_copy_.make_room(step_->optimizer().state_dict());
  if (average_) average_copy_.make_room(average_->state_dict());
  return [this] {
    model_copy_.touch();
    optimizer_copy_.touch();
    average_copy_.touch();
  };
}

// Statistics are equal on all ranks, so one rank's state is everybody's.
std::vector<SavedFile> NetworkLearner::copy() {
  std::vector<SavedFile> files = {
      saved_file(kModelFile, model_copy_.take(model_.state_dict()), last_step_),
      saved_file(kOptimizerFile, optimizer_copy_.take(step_->optimizer().state_dict()),
                 last_step_)};
  if (average_) {
    files.push_back(
        saved_file(kAverageFile, average_copy_.take(average_->state_dict()), last_step_));
  }
  return files;
}

Picture NetworkLearner::take_picture() {
  return to_picture(step_->take_sample(), mean_, std_);
}

uint64_t NetworkLearner::checksum() const {
  std::vector<at::Tensor> learned = model_.parameters();
  for (const auto& [name, momentum] : step_->optimizer().state_dict()) learned.push_back(momentum);
  if (average_) {
    for (const auto& [name, tensor] : average_->state_dict()) learned.push_back(tensor);
  }
  std::vector<at::Tensor> all = whole_storages(learned);
  for (const at::Tensor& statistic : model_.statistics()) all.push_back(statistic);
  return checksum_of(all);
}

}  // namespace resnext
