// SPDX-License-Identifier: BSD-3-Clause
#include "worker/trainer.h"

#include <ATen/ops/isfinite.h>
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

bool all_finite(const StateDict& state) {
  return std::ranges::all_of(state, [](const auto& entry) {
    return at::isfinite(entry.second).all().template item<bool>();
  });
}

std::unique_ptr<BatchInput> make_input(const Container& container, const DataSets& data,
                                       const RunConfig& config, const Precision& precision,
                                       const BatchOptions& batch, const Communicator& communicator,
                                       at::Device device, bool training) {
  return std::make_unique<BatchInput>(
      make_loader(container, config, batch, communicator.rank(), communicator.size(), training,
                  host_allocator(device)),
      PixelNormaliser(data.reference().mean(), data.reference().std(), device,
                      precision.compute_type(), precision.channels_last()),
      device);
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

std::unique_ptr<BatchInput> make_validation_input(const DataSets& data, const RunConfig& config,
                                                  const BatchOptions& batch,
                                                  const Precision& precision,
                                                  const Communicator& communicator,
                                                  at::Device device) {
  if (!data.validation) return nullptr;
  return make_input(*data.validation, data, config, precision, batch, communicator, device,
                    /*training=*/false);
}

Trainer::Trainer(const RunConfig& config, const RunShape& shape, const DataSets& data,
                 Communicator& communicator, const ComputeDevice& device)
    : config_(config),
      shape_(shape),
      communicator_(communicator),
      device_(device.torch()),
      checkpoints_(checkpoint_folder(config.run)),
      precision_(config.precision, device_),
      schedule_(config.optimizer, config.schedule, shape.batch.global, shape.steps_per_epoch,
                config.run.epochs),
      reports_(device.is_gpu() ? StepReports::kStepsAhead : 0) {
  const std::optional<Checkpoint> checkpoint = find_checkpoint(config.run);
  model_ = make_model(config, checkpoint);
  model_->to(device_, precision_.parameter_type(), precision_.channels_last());
  if (config.log.timeline) {
    timeline_ = std::make_unique<Timeline>(config.run.output, communicator.rank());
  }
  meters_ = Meters(timeline_.get(), device.is_gpu());
  step_ = std::make_unique<TrainingStep>(
      config, precision_, *model_, communicator, meters_,
      checkpoint ? checkpoint->progress.bucket_order : std::vector<int64_t>{});
  train_input_ = make_input(*data.train, data, config, precision_, shape.batch, communicator,
                            device_, /*training=*/true);
  validation_input_ =
      make_validation_input(data, config, shape.batch, precision_, communicator, device_);
  if (checkpoint) restore(*checkpoint);
  train_input_->start(progress_.cursor);
  log_ = std::make_unique<RunLog>(config, shape, communicator.rank(), progress_.step);
}

// Another global batch keeps the place in the epoch, to the nearest step that repeats no fewer
// images than needed.
void Trainer::restore(const Checkpoint& checkpoint) {
  progress_ = checkpoint.progress;
  step_->optimizer().load(checkpoint.optimizer, config_.run.output);
  step_->loss_scaler().restore(progress_.loss_scale, progress_.loss_scale_steps);
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
  while (!finished() && !stop_agreed_) {
    train_step();
    log_and_save();
  }
  const ExitCode code = finished() ? ExitCode::kOk : ExitCode::kStopped;
  for (const StepReport& report : reports_.take(/*all=*/true)) observe(report);
  if (saved_step_ != progress_.step) save();
  return code;
}

void Trainer::train_step() {
  step_->run(schedule_.at(progress_.step), stop_signalled(),
             [this] { return train_input_->next(); });
  advance();
  reports_.push(progress_.step, step_->report());
  const bool all = log_due() || validation_due() || save_due();
  for (const StepReport& report : reports_.take(all)) observe(report);
  meters_.end_step();
}

// `step` and `cursor` then stand at the next step.
void Trainer::advance() {
  ++progress_.step;
  if (++progress_.cursor.step == shape_.steps_per_epoch) {
    progress_.cursor = {progress_.cursor.epoch + 1, 0};
  }
}

// All ranks see the same reports after the same steps. In float16 the first steps may overflow
// until the loss scale has come down.
void Trainer::observe(const StepReport& report) {
  meters_.add_loss(report.loss);
  stop_agreed_ = stop_agreed_ || report.stop;
  if (!report.skipped) {
    skipped_steps_ = 0;
    return;
  }
  const bool overflow = std::isfinite(report.loss);
  spdlog::warn("step {}: {}; the step is skipped", report.step,
               overflow ? fmt::format("a gradient overflowed at loss scale {}", report.loss_scale)
                        : fmt::format("the loss is {}", report.loss));
  const int64_t limit = kMaxSkippedSteps + (precision_.scales_loss() ? LossScaler::kHalvings : 0);
  if (++skipped_steps_ < limit) return;
  throw DivergedError(fmt::format("step {}", report.step),
                      fmt::format("{} steps in a row are not finite", limit),
                      "lower optimizer.base_lr or lengthen schedule.warmup_epochs");
}

void Trainer::log_and_save() {
  const int64_t epoch = progress_.cursor.epoch - (epoch_ended() ? 1 : 0);
  if (log_due()) {
    log_->train(progress_.step, epoch, schedule_.at(progress_.step - 1), meters_);
    meters_.reset();
  }
  if (validation_due()) evaluate_and_log();
  if (save_due()) save();
}

void Trainer::evaluate_and_log() {
  const Accuracy accuracy =
      evaluate(*model_, precision_, *validation_input_, communicator_, device_);
  const bool best = std::isfinite(accuracy.loss) && accuracy.top1 > progress_.best_top1;
  if (best) {
    progress_.best_top1 = accuracy.top1;
    progress_.best_step = progress_.step;
  }
  log_->validation(progress_.step, (progress_.step - 1) / shape_.steps_per_epoch, accuracy, best);
}

bool Trainer::log_due() const {
  return progress_.step % config_.log.every_steps == 0 || finished();
}

bool Trainer::validation_due() const {
  return validation_input_ && (epoch_ended() || finished());
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
  progress_.bucket_order = step_->reducer().order();
  progress_.meter_steps = meters_.steps();
  progress_.meter_loss_sum = meters_.loss_sum();
  progress_.loss_scale = step_->loss_scaler().scale().item<double>();
  progress_.loss_scale_steps = step_->loss_scaler().clean_steps();
  const Checkpoint checkpoint{progress_, model_->state_dict(), step_->optimizer().state_dict()};
  if (!all_finite(checkpoint.model) || !all_finite(checkpoint.optimizer)) {
    throw DivergedError(fmt::format("step {}", progress_.step),
                        "weights or momentum are not finite, so no checkpoint is written",
                        "lower optimizer.base_lr or lengthen schedule.warmup_epochs");
  }
  if (communicator_.rank() == 0) checkpoints_.save(checkpoint, config_.checkpoint.keep);
  saved_step_ = progress_.step;
}

}  // namespace resnext
