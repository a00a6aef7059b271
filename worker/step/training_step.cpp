// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/training_step.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "comm/common/error.h"
#include "comm/watch/watch.h"
#include "data/keyed_random.h"
#include "worker/input/input_picture.h"
#include "worker/step/criterion.h"
#include "worker/step/step_reports.h"

namespace resnext {
namespace {

at::Device device_of(ResNeXt& model) {
  return model.parameters().front().device();
}

at::Tensor scalar(ResNeXt& model, at::ScalarType type) {
  return at::zeros({}, at::TensorOptions().dtype(type).device(device_of(model)));
}

// Rank 0's values for everybody; then the statistics, the loss, the weight and the flag.
std::vector<at::Tensor> averaged(Communicator& communicator, ResNeXt& model, const at::Tensor& loss,
                                 const at::Tensor& weight, const at::Tensor& stop) {
  broadcast_tensors(communicator, model.parameters());
  broadcast_tensors(communicator, model.statistics());
  std::vector<at::Tensor> tensors = model.trained_statistics();
  tensors.insert(tensors.end(), {loss, weight, stop});
  return tensors;
}

std::string eager_reason(const RunConfig& config) {
  if (!config.run.graph) return "run.graph is false";
  if (config.precision.compute == Compute::kFp64) return "the rate would be rounded to float32";
  return "";
}

StepGraph::Agreement agreement_over(Communicator& communicator) {
  return [&communicator](bool mine) {
    uint8_t everywhere = mine ? 1 : 0;
    communicator.all_reduce({&everywhere, 1, DataType::kUint8}, ReduceOp::kMin);
    return everywhere == 1;
  };
}

std::vector<at::Tensor> flats(const GradientReducer& reducer) {
  std::vector<at::Tensor> flats;
  for (const GradientBucket& bucket : reducer.buckets()) flats.push_back(bucket.flat);
  return flats;
}

// A track each, numbered in the order in which they are summed.
GradientReducer::Observer bucket_tracks(Timeline& timeline) {
  return [&timeline](size_t bucket, auto ready, auto summed) {
    const std::string name = fmt::format("bucket {}", bucket);
    timeline.add(name, "all_reduce", ready, summed);
  };
}

}  // namespace

TrainingStep::TrainingStep(const RunConfig& config, const Precision& precision, ResNeXt& model,
                           Communicator& communicator, Meters& meters, std::vector<int64_t> order,
                           const std::vector<double>& class_weights)
    : config_(config),
      precision_(precision),
      mixer_(config.mix, config.run.seed, config.data.size, device_of(model)),
      model_(model),
      communicator_(communicator),
      meters_(meters),
      weight_(scalar(model, precision.parameter_type())),
      loss_(scalar(model, precision.parameter_type())),
      stop_(scalar(model, precision.parameter_type())),
      skip_(scalar(model, at::kFloat)),
      report_(at::zeros({StepReports::kNumbers}, skip_.options().dtype(at::kDouble))),
      averager_(communicator, averaged(communicator, model, loss_, weight_, stop_)),
      reducer_(communicator, model.trained_parameters(), config.comm, std::move(order)),
      optimizer_(config.optimizer, model.trained_parameters(), model.trained_names(), reducer_),
      scaler_(precision.scales_loss(), device_of(model)),
      graph_(graphs_of(device_of(model), eager_reason(config)), agreement_over(communicator)),
      size_(config.data.size) {
  if (!class_weights.empty()) {
    class_weights_ = at::tensor(class_weights, at::kDouble).to(loss_.options());
  }
  const bool observes = config.log.tensorboard && communicator.rank() == 0;
  sampled_ = !observes;
  if (observes) {
    norms_.emplace(model.trained_parameters(), model.trained_names(),
                   device_of(model).is_cuda() && eager_reason(config).empty());
  }
  if (meters.timeline() != nullptr) reducer_.observe(bucket_tracks(*meters.timeline()));
}

void TrainingStep::ask_gradient_norms(bool wanted) {
  if (norms_) norms_->ask(wanted);
}

std::vector<NamedValues> TrainingStep::gradient_norms() const {
  return norms_ ? norms_->by_stage() : std::vector<NamedValues>{};
}

// In the first step, which no graph replays.
void TrainingStep::sample(const at::Tensor& images) {
  if (std::exchange(sampled_, true)) return;
  sample_ = images.narrow(0, 0, std::min(kPictureImages, images.size(0))).to(at::kCPU).clone();
}

void TrainingStep::run(double lr, bool stop, const std::function<Input()>& next) {
  meters_.begin_step();
  graph_.begin_step();
  optimizer_.set_lr(lr);
  stop_.fill_(stop ? 1 : 0);
  const int64_t micro_batches = config_.batch.accumulation;
  for (int64_t m = 1; m <= micro_batches; ++m) {
    watch::enter(watch::Phase::kData);
    const Input input = next();
    meters_.end_phase(Phase::kDataWait);
    watch::enter(watch::Phase::kForward);
    const bool first = m == 1, last = m == micro_batches;
    const int64_t before = (communicator_.rank() * micro_batches + m - 1) * input.images.size(0);
    model_.draw_depth(depth_key_, first_image_ + before);
    graph_.run((first ? 1 : 0) + (last ? 2 : 0), [&] { micro_step(input, first, last); });
    if (!graph_.replayed()) continue;
    check_memory_is_fixed(input);
    communicator_.watch_current_stream("training step");
  }
  model_.count_batches(micro_batches);
}

void TrainingStep::take_size(const Position& position) {
  const int64_t size = size_at(config_.data, position.epoch);
  if (size == size_) return;
  size_ = size;
  mixer_.resize(size);
  graph_.start_anew();
  captured_images_ = captured_labels_ = nullptr;
}

void TrainingStep::draw(const Position& position) {
  take_size(position);
  if (mixer_.enabled()) mixer_.draw(position);
  const auto epoch = static_cast<uint64_t>(position.epoch);
  depth_key_ = KeyedRandom(RandomUse::kDepth, config_.run.seed, epoch, 0).next();
  first_image_ = position.images;
}

void TrainingStep::check_memory_is_fixed(const Input& input) {
  const void* images = input.images.const_data_ptr();
  const void* labels = input.labels.const_data_ptr();
  if (!captured_images_) {
    captured_images_ = images;
    captured_labels_ = labels;
  }
  if (images == captured_images_ && labels == captured_labels_) return;
  throw Error(ExitCode::kInternal, "training step", "a replay does not see images in other memory",
              "give it each micro-batch in the same tensors, or set run.graph to false");
}

void TrainingStep::micro_step(const Input& input, bool first, bool last) {
  if (first) {
    reducer_.begin();
    averager_.remember();
    loss_.zero_();
    weight_.zero_();
  }
  forward_backward(input, last);
  if (last) finish();
}

// The loss is divided such that the sum over micro-batches and ranks is the mean.
void TrainingStep::forward_backward(const Input& input, bool last) {
  const bool mixes = mixer_.enabled();
  const at::Tensor images = mixes ? mixer_.images(input.images) : input.images;
  sample(images);
  at::Tensor loss;
  {
    const Precision::Scope scope(precision_);
    const at::Tensor logits = model_.forward(images, Mode::kTrain);
    loss = loss_of(config_.optimizer, logits,
                   mixes ? mixer_.targets(input.labels, logits.size(1), precision_.parameter_type())
                         : input.labels,
                   class_weights_);
  }
  const auto parts = static_cast<double>(config_.batch.accumulation);
  loss_.add_(loss.detach(), 1 / parts);
  if (class_weights_.defined()) {
    weight_.add_(class_weights_.index_select(0, input.labels).mean(), 1 / parts);
  }
  meters_.end_phase(Phase::kForward);
  if (last) {
    averager_.start();
    reducer_.arm();
  }
  watch::enter(watch::Phase::kBackward);
  scaler_.scaled(loss.div(parts * communicator_.size())).backward();
  meters_.end_phase(Phase::kBackward);
}

// Means over images become means over their weights.
void TrainingStep::divide_by_weight() {
  loss_.div_(weight_);
  for (const at::Tensor& gradients : flats(reducer_)) gradients.div_(weight_);
}

// All ranks have the same averaged loss and the same gradients, so all skip the same steps.
void TrainingStep::finish() {
  const at::NoGradGuard no_grad;
  reducer_.wait();
  averager_.wait();
  meters_.end_phase(Phase::kExposedComm);
  watch::enter(watch::Phase::kOptimizer);
  if (class_weights_.defined()) divide_by_weight();
  skip_.copy_(at::isfinite(loss_).logical_not());
  scaler_.unscale(flats(reducer_), skip_);
  if (norms_) norms_->measure();
  const at::Tensor& norm = optimizer_.clip(skip_);
  const auto number = [](const at::Tensor& t) { return t.to(at::kDouble); };
  report_.copy_(at::stack(
      {number(loss_), number(stop_), number(skip_), number(scaler_.scale()), number(norm)}));
  optimizer_.step(skip_);
  averager_.restore_where(skip_);
  scaler_.update(skip_);
  meters_.end_phase(Phase::kOptimizer);
}

}  // namespace resnext
