// SPDX-License-Identifier: BSD-3-Clause
#include "worker/trainer.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "comm/common/error.h"
#include "worker/stop_signal.h"

namespace resnext {
namespace {

CheckpointFolder checkpoint_folder(const RunOptions& run) {
  return CheckpointFolder(std::filesystem::path(run.output) / "checkpoints");
}

std::vector<at::Tensor> with(std::vector<at::Tensor> tensors,
                             std::initializer_list<at::Tensor> more) {
  tensors.insert(tensors.end(), more);
  return tensors;
}

bool all_finite(const StateDict& state) {
  return std::ranges::all_of(state, [](const auto& entry) {
    return at::isfinite(entry.second).all().template item<bool>();
  });
}

}  // namespace

std::optional<Checkpoint> find_checkpoint(const RunOptions& run) {
  const CheckpointFolder folder = checkpoint_folder(run);
  if (run.resume == "auto") return folder.load_latest();
  if (run.resume != "none") return CheckpointFolder::load(run.resume);
  if (folder.any()) {
    throw ConfigError("run.resume", run.output + " holds checkpoints of an earlier run",
                      "choose another run.output, remove that folder, or set run.resume to auto");
  }
  return std::nullopt;
}

ResNeXt make_model(const RunConfig& config, const std::optional<Checkpoint>& checkpoint) {
  ResNeXt model(config.model, config.run.seed);
  const std::string& file = config.model.pretrained;
  if (checkpoint) {
    model.load(checkpoint->model, config.run.output);
  } else if (!file.empty()) {
    model.load(load_state_dict(file), file, config.model.reset_classifier);
  }
  return model;
}

Trainer::Trainer(const RunConfig& config, const RunShape& shape, const DataSets& data,
                 Communicator& communicator, at::Device device)
    : config_(config),
      shape_(shape),
      communicator_(communicator),
      checkpoints_(checkpoint_folder(config.run)),
      precision_(config.precision, device, data.reference().mean(), data.reference().std()),
      checkpoint_(find_checkpoint(config.run)),
      model_(make_model(config, checkpoint_)),
      schedule_(config.optimizer, config.schedule, shape.batch.global, shape.steps_per_epoch,
                config.run.epochs) {
  model_.to(device, precision_.parameter_type(), config.precision.channels_last);
  const auto scalar = at::TensorOptions().dtype(precision_.parameter_type()).device(device);
  loss_ = at::zeros({}, scalar);
  stop_ = at::zeros({}, scalar);
  broadcast_tensors(communicator, model_.parameters());
  broadcast_tensors(communicator, model_.statistics());
  averager_ =
      std::make_unique<TensorAverager>(communicator, with(model_.statistics(), {loss_, stop_}));
  reducer_ = std::make_unique<GradientReducer>(
      communicator, model_.parameters(), config.comm,
      checkpoint_ ? checkpoint_->progress.bucket_order : std::vector<int64_t>{});
  optimizer_ =
      std::make_unique<Optimizer>(config.optimizer, model_.parameters(), model_.parameter_names());
  train_loader_ = make_loader(*data.train, config, shape.batch, communicator.rank(),
                              communicator.size(), /*training=*/true);
  if (data.validation) {
    validation_loader_ = make_loader(*data.validation, config, shape.batch, communicator.rank(),
                                     communicator.size(), /*training=*/false);
  }
  if (config.log.timeline) {
    timeline_ = std::make_unique<Timeline>(config.run.output, communicator.rank());
    meters_ = Meters(timeline_.get());
  }
  if (checkpoint_) restore();
  train_loader_->start(progress_.cursor);
  log_ = std::make_unique<RunLog>(config, shape, communicator.rank(), progress_.step);
}

// Another global batch keeps the place in the epoch, to the nearest step that repeats no fewer
// images than needed.
void Trainer::restore() {
  progress_ = checkpoint_->progress;
  optimizer_->load(checkpoint_->optimizer, config_.run.output);
  checkpoint_.reset();
  meters_.restore(progress_.meter_steps, progress_.meter_loss_sum);
  saved_step_ = progress_.step;
  if (progress_.global_batch != shape_.batch.global) {
    const int64_t images = progress_.cursor.step * progress_.global_batch;
    progress_.cursor.step = images / shape_.batch.global;
    progress_.step = progress_.cursor.epoch * shape_.steps_per_epoch + progress_.cursor.step;
    spdlog::warn("the global batch was {} and is {}: continuing at step {} of epoch {}",
                 progress_.global_batch, shape_.batch.global, progress_.cursor.step,
                 progress_.cursor.epoch + 1);
  }
}

ExitCode Trainer::run() {
  log_->start(progress_.step);
  if (finished()) spdlog::info("nothing left to do: all {} steps are taken", progress_.step);
  try {
    const ExitCode code = loop();
    log_->end(progress_.step, code);
    return code;
  } catch (const Error& error) {
    if (error.exit_code() != ExitCode::kOutput) log_->end(progress_.step, error.exit_code());
    throw;
  }
}

ExitCode Trainer::loop() {
  ExitCode code = ExitCode::kOk;
  while (!finished() && code == ExitCode::kOk) {
    train_step();
    after_step();
    if (stop_.item<double>() > 0 && !finished()) code = ExitCode::kStopped;
  }
  if (saved_step_ != progress_.step) save();
  return code;
}

void Trainer::train_step() {
  meters_.begin_step();
  reducer_->begin();
  averager_->remember();
  loss_.zero_();
  for (int64_t m = 1; m <= shape_.batch.accumulation; ++m) {
    forward_backward(m == shape_.batch.accumulation);
  }
  reducer_->wait();
  averager_->wait();
  meters_.end_phase(Phase::kExposedComm);
  finish_step(loss_.item<double>());
}

// The loss is divided such that the sum over micro-batches and ranks is the mean.
void Trainer::forward_backward(bool last_micro_batch) {
  const Batch batch = train_loader_->next();
  meters_.end_phase(Phase::kDataWait);
  at::Tensor loss;
  {
    const Precision::Scope scope(precision_);
    const at::Tensor logits = model_.forward(precision_.images(batch), Mode::kTrain);
    loss = at::cross_entropy_loss(logits, precision_.labels(batch), {}, at::Reduction::Mean, -100,
                                  config_.optimizer.label_smoothing);
  }
  const auto parts = static_cast<double>(shape_.batch.accumulation);
  loss_.add_(loss.detach(), 1 / parts);
  meters_.end_phase(Phase::kForward);
  if (last_micro_batch) {
    stop_.fill_(stop_signalled() ? 1 : 0);
    averager_->start();
    reducer_->arm();
  }
  loss.div(parts * communicator_.size()).backward();
  meters_.end_phase(Phase::kBackward);
}

void Trainer::finish_step(double loss) {
  if (step_counts(loss)) optimizer_->step(schedule_.at(progress_.step));
  meters_.end_phase(Phase::kOptimizer);
  meters_.end_step(loss);
  ++progress_.step;
  if (++progress_.cursor.step == shape_.steps_per_epoch) {
    progress_.cursor = {progress_.cursor.epoch + 1, 0};
  }
}

// All ranks see the same averaged loss, so all skip the same steps.
bool Trainer::step_counts(double loss) {
  if (std::isfinite(loss)) {
    skipped_steps_ = 0;
    return true;
  }
  averager_->restore();
  spdlog::warn("step {}: the loss is {}; the step is skipped", progress_.step + 1, loss);
  if (++skipped_steps_ < kMaxSkippedSteps) return false;
  throw DivergedError(fmt::format("step {}", progress_.step + 1),
                      fmt::format("{} losses in a row are not finite", kMaxSkippedSteps),
                      "lower optimizer.base_lr or lengthen schedule.warmup_epochs");
}

// `step` and `cursor` already stand at the next step.
void Trainer::after_step() {
  const int64_t epoch = progress_.cursor.epoch - (epoch_ended() ? 1 : 0);
  if (progress_.step % config_.log.every_steps == 0 || finished()) {
    log_->train(progress_.step, epoch, schedule_.at(progress_.step - 1), meters_);
    meters_.reset();
  }
  if (validation_loader_ && (epoch_ended() || finished())) evaluate_and_log();
  if (save_due()) save();
}

void Trainer::evaluate_and_log() {
  const Accuracy accuracy = evaluate(model_, precision_, *validation_loader_, communicator_);
  const bool best = std::isfinite(accuracy.loss) && accuracy.top1 > progress_.best_top1;
  if (best) {
    progress_.best_top1 = accuracy.top1;
    progress_.best_step = progress_.step;
  }
  log_->validation(progress_.step, (progress_.step - 1) / shape_.steps_per_epoch, accuracy, best);
}

bool Trainer::save_due() const {
  const auto every = [&](int64_t steps) { return steps > 0 && progress_.step % steps == 0; };
  const auto epoch_steps = static_cast<int64_t>(
      std::llround(config_.checkpoint.every_epochs * static_cast<double>(shape_.steps_per_epoch)));
  return every(config_.checkpoint.every_steps) || every(epoch_steps) ||
         progress_.best_step == progress_.step;
}

// Statistics are equal on all ranks, so rank 0's state is everybody's. Weights that are not finite
// stay so: they must not take the place of checkpoints from which the run could be saved.
void Trainer::save() {
  progress_.global_batch = shape_.batch.global;
  progress_.bucket_order = reducer_->order();
  progress_.meter_steps = meters_.steps();
  progress_.meter_loss_sum = meters_.loss_sum();
  const Checkpoint checkpoint{progress_, model_.state_dict(), optimizer_->state_dict()};
  if (!all_finite(checkpoint.model) || !all_finite(checkpoint.optimizer)) {
    throw DivergedError(fmt::format("step {}", progress_.step),
                        "weights or momentum are not finite, so no checkpoint is written",
                        "lower optimizer.base_lr or lengthen schedule.warmup_epochs");
  }
  if (communicator_.rank() == 0) checkpoints_.save(checkpoint, config_.checkpoint.keep);
  saved_step_ = progress_.step;
}

}  // namespace resnext
