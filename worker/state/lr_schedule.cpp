// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace resnext {

double steps_at(const Position& position, int64_t images, int64_t global_batch) {
  const int64_t whole = batches_left(images, global_batch, 0);
  const int64_t end =  // of the epoch, when the batch stays
      position.images + batches_left(images, global_batch, position.images) * global_batch;
  const auto before = static_cast<double>(position.epoch * whole);
  if (position.images % global_batch == 0) {
    return before + static_cast<double>(position.images / global_batch);
  }
  return before + static_cast<double>(whole) * static_cast<double>(position.images) /
                      static_cast<double>(end);
}

LrSchedule::LrSchedule(const OptimizerOptions& optimizer, ScheduleOptions schedule,
                       int64_t global_batch, int64_t images, int64_t epochs)
    : schedule_(std::move(schedule)),
      global_batch_(global_batch),
      images_(images),
      effective_lr_(optimizer.base_lr * static_cast<double>(global_batch) /
                    static_cast<double>(optimizer.base_batch)),
      start_lr_(std::min(optimizer.base_lr, effective_lr_)),
      steps_per_epoch_(static_cast<double>(batches_left(images, global_batch, 0))),
      warmup_steps_(std::round(schedule_.warmup_epochs * steps_per_epoch_)),
      total_steps_(static_cast<double>(epochs) * steps_per_epoch_) {}

double LrSchedule::at(const Position& position) const {
  const double now = steps_at(position, images_, global_batch_);
  if (now < warmup_steps_) {
    return start_lr_ +
           (effective_lr_ - start_lr_) * std::min(now + 1, warmup_steps_) / warmup_steps_;
  }
  if (schedule_.kind == ScheduleKind::kCosine) {
    const double span = std::max(1.0, total_steps_ - warmup_steps_);
    const double t = std::min(1.0, (now - warmup_steps_) / span);
    return effective_lr_ / 2 * (1 + std::cos(std::numbers::pi * t));
  }
  const auto passed =
      std::count_if(schedule_.milestones.begin(), schedule_.milestones.end(),
                    [&](double epoch) { return now >= std::round(epoch * steps_per_epoch_); });
  return effective_lr_ * std::pow(schedule_.gamma, static_cast<double>(passed));
}

}  // namespace resnext
