// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/course.h"

#include <algorithm>
#include <cmath>

#include "configs/lr_schedule.h"

namespace resnext {

SampleOrder sample_order(const RunConfig& config) {
  return {config.run.seed, config.data.shuffle, config.data.repeats};
}

Course::Course(const RunConfig& config, int64_t images, int64_t global_batch, bool validates)
    : config_(config),
      images_(images),
      global_batch_(global_batch),
      steps_per_epoch_(batches_left(images, global_batch, 0)),
      validates_(validates) {}

int64_t Course::steps_left(const Progress& progress) const {
  const int64_t epochs = config_.run.epochs - progress.position.epoch;
  int64_t steps = 0;
  if (epochs > 0) {
    steps = batches_left(images_, global_batch_, progress.position.images) +
            (epochs - 1) * steps_per_epoch_;
  }
  if (config_.run.steps > 0) steps = std::min(steps, config_.run.steps - progress.step);
  return std::max<int64_t>(0, steps);
}

bool Course::finished(const Progress& progress) const {
  return steps_left(progress) == 0;
}

bool Course::ended(const Progress& progress) const {
  const int64_t pause = config_.run.pause_epoch;
  return finished(progress) || (pause > 0 && progress.position.epoch >= pause);
}

bool Course::adopt(Progress& progress) const {
  const Position before = progress.position;
  progress.position = with_order(at_full_batch(before, images_, global_batch_));
  return progress.position.epoch != before.epoch;
}

void Course::advance(Progress& progress) const {
  progress.position = with_order(after_batch(progress.position, images_, global_batch_));
  ++progress.step;
}

// An epoch that begins has this start's; so has one whose order was not written down.
Position Course::with_order(Position position) const {
  if (position.images == 0 || !position.order) position.order = sample_order(config_);
  return position;
}

int64_t Course::epoch_of_last(const Progress& progress) const {
  return progress.position.epoch - (epoch_ended(progress) && progress.position.epoch > 0 ? 1 : 0);
}

bool Course::log_due(const Progress& progress) const {
  return progress.step % config_.log.every_steps == 0 || ended(progress);
}

bool Course::validation_due(const Progress& progress) const {
  const bool its_turn =
      epoch_ended(progress) && progress.position.epoch % config_.run.validate_every_epochs == 0;
  return validates_ && (its_turn || ended(progress));
}

bool Course::snapshot_due(const Progress& progress) const {
  return !config_.checkpoint.local.empty() &&
         progress.step % config_.checkpoint.local_every_steps == 0;
}

// By epochs: the place has passed a multiple of the interval, in whole steps of this batch.
bool Course::save_due(const Progress& progress) const {
  const int64_t every = config_.checkpoint.every_steps;
  if (every > 0 && progress.step % every == 0) return true;
  const double interval =
      std::round(config_.checkpoint.every_epochs * static_cast<double>(steps_per_epoch_));
  if (interval <= 0) return false;
  const double here = steps_at(progress.position, images_, global_batch_);
  Position before = progress.position;
  if (before.images == 0) before = {before.epoch - 1, steps_per_epoch_ * global_batch_};
  const double there =
      steps_at({before.epoch, before.images - global_batch_}, images_, global_batch_);
  return std::floor(here / interval) > std::floor(there / interval);
}

}  // namespace resnext
