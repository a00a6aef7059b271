// SPDX-License-Identifier: BSD-3-Clause
#include "worker/trainer.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "comm/common/error.h"
#include "comm/watch/watch.h"
#include "worker/state/agreement.h"
#include "worker/state/replicas.h"
#include "worker/step/loss_scaler.h"

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

std::string why_skipped(const StepReport& report, bool scales_loss) {
  if (!std::isfinite(report.loss)) return fmt::format("the loss is {}", report.loss);
  if (!scales_loss) return "the gradients are not finite";
  return fmt::format("a gradient overflowed at loss scale {}", report.loss_scale);
}

}  // namespace

Trainer::Trainer(const RunConfig& config, TrainerParts parts, const Progress& progress, bool saved)
    : config_(config),
      parts_(std::move(parts)),
      course_(config, parts_.data.train.count, parts_.global_batch,
              parts_.data.validation.count > 0),
      schedule_(config.optimizer, config.schedule, parts_.global_batch, parts_.data.train.count,
                config.run.epochs),
      progress_(progress),
      saver_(parts_.save_runner),
      saved_(saved) {}

ExitCode Trainer::run() {
  try {
    begin();
    const ExitCode code = loop();
    if (parts_.log) parts_.log->end(place(), code, parts_.store->saves());
    return code;
  } catch (const Error& error) {
    const bool is_first = !watch::failed();  // else the line would tell of a consequence
    if (parts_.log && is_first) parts_.log->failed(place(), error);
    throw;
  }
}

// The place that the run goes on from may be the end of an epoch that nobody has validated yet:
// with this start's batch, or because the start before ended there.
void Trainer::begin() {
  const Progress before = progress_;
  const bool ended = course_.adopt(progress_);
  progress_.world_size = parts_.communicator.size();
  progress_.global_batch = parts_.global_batch;
  progress_.epochs = config_.run.epochs;
  progress_.effective_lr = schedule_.effective_lr();
  tally_saved_ = progress_.tally;
  parts_.meters.restore(progress_.meter_steps, progress_.meter_loss_sum);
  parts_.learner.start(progress_.position);
  if (parts_.log) {
    parts_.log->start(place(), changes(before, progress_, sample_order(config_)));
  }
  if (parts_.store) saver_.start(parts_.learner.make_room_to_copy());
  save();  // what only a host had
  const bool due = progress_.validation_due || (ended && course_.validation_due(progress_));
  progress_.validation_due =
      progress_.step > 0 && due && course_.validates() && !progress_.validated;
  if (progress_.validation_due) validate();
  look_for_early_stop();
}

ExitCode Trainer::loop() {
  while (!course_.ended(progress_) && !stop_agreed_ && !ended_early_) {
    train_step();
    log_and_save();
  }
  return finish();
}

void Trainer::train_step() {
  const Position begin = progress_.position;
  lr_ = schedule_.at(begin);
  course_.advance(progress_);
  watch::enter_step(progress_.step);
  const bool stop = parts_.stop_signalled() || saver_.failed();
  const bool observed = config_.log.tensorboard && course_.log_due(progress_);
  parts_.learner.step({progress_.step, begin, lr_, stop, observed});
  saved_ = progress_.validated = false;
  accuracy_.reset();
  const std::vector<StepReport> reports = parts_.learner.reports(anything_due());
  watch::throw_if_failed();  // a device whose collectives were aborted reports anything
  for (const StepReport& report : reports) observe(report);
  parts_.meters.end_step();
}

// All ranks see the same reports after the same steps. In float16 the first steps may overflow
// until the loss scale has come down.
void Trainer::observe(const StepReport& report) {
  stop_agreed_ = stop_agreed_ || report.stop;
  gradient_norm_ = report.gradient_norm;
  if (!report.skipped) {
    parts_.meters.add_loss(report.loss);
    progress_.skipped_in_a_row = 0;
    return;
  }
  const bool scales = config_.precision.compute == Compute::kFp16;
  spdlog::warn("step {}: {}; the step is skipped", report.step, why_skipped(report, scales));
  ++progress_.skipped;
  const int64_t limit = kMaxSkippedSteps + (scales ? LossScaler::kHalvings : 0);
  if (++progress_.skipped_in_a_row < limit) return;
  throw DivergedError(fmt::format("step {}", report.step),
                      fmt::format("{} steps in a row are not finite", limit),
                      "lower optimizer.base_lr or lengthen schedule.warmup_epochs");
}

bool Trainer::anything_due() const {
  return course_.log_due(progress_) || course_.validation_due(progress_) ||
         course_.save_due(progress_) || course_.snapshot_due(progress_);
}

// What was trained is saved before it is validated, which may take long or fail.
void Trainer::log_and_save() {
  if (course_.log_due(progress_)) log();
  progress_.validation_due = course_.validation_due(progress_);
  if (course_.save_due(progress_)) save();
  if (course_.snapshot_due(progress_)) {
    watch_ranks(/*warn=*/false);
    snapshot();
  }
  if (!progress_.validation_due || stop_agreed_) return;
  validate();
  look_for_early_stop();
}

void Trainer::log() {
  watch::enter(watch::Phase::kLog);
  watch_ranks(/*warn=*/true);
  if (parts_.log) {
    parts_.log->train(place(), lr_, {progress_.skipped, progress_.tally, gradient_norm_},
                      parts_.meters);
    parts_.log->observations(place(), parts_.learner.gradient_norms(),
                             parts_.learner.take_picture());
  }
  parts_.meters.reset();
  tally_before_ += progress_.tally - tally_saved_;
  progress_.tally = tally_saved_ = 0;
}

// What is logged or saved is what all ranks have.
void Trainer::watch_ranks(bool warn) {
  const ReplicaReport mine =
      report_of(parts_.learner.checksum(), parts_.learner.tally(), parts_.meters);
  const uint64_t tally =
      watch_replicas(parts_.communicator, mine, progress_.step, parts_.meters.mean_step_ms(), warn);
  progress_.tally = tally_saved_ + tally - tally_before_;
}

// The best is a save like others: where none was due it is made now.
void Trainer::validate() {
  const std::optional<Validation> validation = validated_or_saved();
  if (!validation) {
    stop_agreed_ = true;
    return;
  }
  const Accuracy& accuracy = validation->deciding();
  progress_.validation_due = false;
  progress_.validated = true;
  if (!saved_) accuracy_ = accuracy;
  if (decide(parts_.communicator, [&] { return is_best(accuracy) ? "best" : ""; }) == "best")
    save();
  settle();
  on_rank_0(parts_.communicator, [&] {
    parts_.log->validation(place(), *validation, is_best(accuracy));
    if (saved_) parts_.store->validated(accuracy);
  });
}

// A damaged image must not end the run before the place is saved.
std::optional<Validation> Trainer::validated_or_saved() {
  try {
    return parts_.learner.validate(parts_.stop_signalled);
  } catch (const Error& error) {  // the same on all ranks
    if (error.exit_code() == ExitCode::kData) settle();
    throw;
  }
}

bool Trainer::is_best(const Accuracy& accuracy) const {
  return std::isfinite(accuracy.loss) && accuracy.top1 > parts_.store->best_top1();
}

// The best and its epoch are in the run folder, so that another start sees the same.
void Trainer::look_for_early_stop() {
  if (config_.run.early_stop == 0 || stop_agreed_) return;
  const auto is_due = [&] {
    const int64_t best = parts_.store->best_epoch();
    return best >= 0 && progress_.position.epoch - best >= config_.run.early_stop ? "due" : "";
  };
  ended_early_ = decide(parts_.communicator, is_due) == "due";
  if (ended_early_ && parts_.log && !course_.finished(progress_)) {
    spdlog::info("the run ends early: top-1 has not risen for {} epochs (run.early_stop)",
                 progress_.position.epoch - parts_.store->best_epoch());
  }
}

// All ranks wait for what rank 0 writes, and learn whether it was written. It may take long, but
// not stand still.
void Trainer::settle() {
  watch::enter(watch::Phase::kSave);
  wait_together(parts_.communicator, [&](double seconds) {
    watch::beat();
    return saver_.settled(seconds) || saver_.idle_s() > config_.comm.timeout_s;
  });
  on_rank_0(parts_.communicator, [&] {
    if (!saver_.settled(0)) throw_stuck();
    saver_.wait();
  });
}

void Trainer::throw_stuck() const {
  throw OutputError(config_.run.output,
                    fmt::format("nothing could be written for {:.0f} s", saver_.idle_s()),
                    "look at the file system, then start the run again");
}

// The saver sees that bytes are written.
SavedFile Trainer::watched(const SavedFile& file) {
  return {file.name, [this, file](const auto& sink) {
            file.write([&](std::span<const std::byte> bytes) {
              sink(bytes);
              saver_.beat();
            });
          }};
}

void Trainer::save() {
  if (saved_) return;
  watch::throw_if_failed();  // what was computed since is not to be kept
  const auto begin = Clock::now();
  settle();
  watch_ranks(/*warn=*/false);
  saved_ = true;
  if (!parts_.store) return;
  std::vector<SavedFile> files = parts_.learner.copy();
  std::ranges::transform(files, files.begin(), [this](const auto& file) { return watched(file); });
  saver_.start([this, begin, copied = Clock::now(), progress = to_save(), files] {
    parts_.owner->check();
    parts_.log->sync();
    parts_.store->save(progress, parts_.data, files);
    Timeline* const timeline = parts_.meters.timeline();
    if (timeline) timeline->add("saving", "checkpoint", copied, Clock::now());
    RunLog::saved(progress.step, seconds(Clock::now() - begin), seconds(copied - begin));
  });
}

// One that cannot be had is no loss; one that would make training wait is left out.
void Trainer::snapshot() {
  if (parts_.snapshots == nullptr || saver_.running() || saver_.failed()) return;
  saver_.start([this, progress = to_save(), files = parts_.learner.copy()] {
    try {
      parts_.snapshots->write(parts_.identity, progress, parts_.data, files);
    } catch (const OutputError& error) {
      spdlog::warn("no snapshot of step {}: {}", progress.step, error.what());
    }
  });
}

Progress Trainer::to_save() {
  progress_.meter_steps = parts_.meters.steps();
  progress_.meter_loss_sum = parts_.meters.loss_sum();
  parts_.learner.describe(progress_);
  return progress_;
}

LoggedPlace Trainer::place() const {
  return {progress_.step, course_.epoch_of_last(progress_), course_.total_steps(progress_)};
}

// A save that fails asks all ranks to stop; why, they learn here. A last validation that was not
// made is left to the next start.
ExitCode Trainer::finish() {
  const bool whole = (course_.ended(progress_) || ended_early_) && !progress_.validation_due;
  const ExitCode code = whole ? ExitCode::kOk : ExitCode::kStopped;
  for (const StepReport& report : parts_.learner.reports(/*all=*/true)) observe(report);
  save();
  settle();
  on_rank_0(parts_.communicator, [&] {
    if (accuracy_) parts_.store->validated(*accuracy_);  // of a place that was saved afterwards
  });
  return code;
}

}  // namespace resnext
