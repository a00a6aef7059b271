// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace resnext {

LrSchedule::LrSchedule(const OptimizerOptions& optimizer, ScheduleOptions schedule,
                       int64_t global_batch, int64_t steps_per_epoch, int64_t epochs)
    : schedule_(std::move(schedule)),
      base_lr_(optimizer.base_lr),
      effective_lr_(optimizer.base_lr * static_cast<double>(global_batch) /
                    static_cast<double>(optimizer.base_batch)),
      steps_per_epoch_(static_cast<double>(steps_per_epoch)),
      warmup_steps_(std::round(schedule_.warmup_epochs * steps_per_epoch_)),
      total_steps_(static_cast<double>(epochs) * steps_per_epoch_) {}

double LrSchedule::at(int64_t step) const {
  const auto now = static_cast<double>(step);
  if (now < warmup_steps_) {
    return base_lr_ + (effective_lr_ - base_lr_) * (now + 1) / warmup_steps_;
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
