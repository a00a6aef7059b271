// SPDX-License-Identifier: BSD-3-Clause
#include "configs/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace resnext {
namespace {

constexpr double kOneCycleStart = 0.04;  // torch's div_factor 25

double half_cosine(double from, double to, double t) {
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * t));
}

}  // namespace

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
      min_lr_(std::min(schedule_.min_lr, effective_lr_)),
      per_epoch_(schedule_.per_epoch ? 1.0
                                     : static_cast<double>(batches_left(images, global_batch, 0))),
      warmup_(std::round(schedule_.warmup_epochs * per_epoch_)),
      end_(static_cast<double>(epochs) * per_epoch_ -
           std::round(schedule_.cooldown_epochs * per_epoch_)) {}

double LrSchedule::at(const Position& position) const {
  const double here = schedule_.per_epoch ? static_cast<double>(position.epoch)
                                          : steps_at(position, images_, global_batch_);
  const double now = std::min(here, end_);
  if (schedule_.kind == ScheduleKind::kOneCycle) return in_one_cycle(now);
  if (now < warmup_) return warming_up(now);
  const double t = std::min(1.0, (now - warmup_) / std::max(1.0, end_ - warmup_));
  switch (schedule_.kind) {
    case ScheduleKind::kCosine:
      return half_cosine(effective_lr_, min_lr_, t);
    case ScheduleKind::kPolynomial:
      return min_lr_ + (effective_lr_ - min_lr_) * std::pow(1 - t, schedule_.power);
    default:
      break;
  }
  const auto passed =
      std::count_if(schedule_.milestones.begin(), schedule_.milestones.end(),
                    [&](double epoch) { return now >= std::round(epoch * per_epoch_); });
  return effective_lr_ * std::pow(schedule_.gamma, static_cast<double>(passed));
}

double LrSchedule::warming_up(double now) const {
  const double start = schedule_.warmup_start;
  if (start >= 0) return effective_lr_ * (start + (1 - start) * now / warmup_);
  return start_lr_ + (effective_lr_ - start_lr_) * std::min(now + 1, warmup_) / warmup_;
}

double LrSchedule::in_one_cycle(double now) const {
  const double start = schedule_.warmup_start >= 0 ? schedule_.warmup_start : kOneCycleStart;
  const double top = warmup_ - 1;
  if (now < top) return half_cosine(start * effective_lr_, effective_lr_, now / top);
  const double begin = std::max(0.0, top);
  const double t = std::min(1.0, (now - begin) / std::max(1.0, end_ - 1 - begin));
  return half_cosine(effective_lr_, min_lr_, t);
}

}  // namespace resnext
