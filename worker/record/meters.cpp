// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/meters.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "worker/device/gpu.h"

namespace resnext {

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kDataWait:
      return "data wait";
    case Phase::kForward:
      return "forward";
    case Phase::kBackward:
      return "backward";
    case Phase::kExposedComm:
      return "exposed communication";
    case Phase::kOptimizer:
      return "optimizer";
  }
  return "";
}

Meters::Meters(Timeline* timeline, bool gpu) : timeline_(timeline) {
  for (int phase = 0; gpu && phase < kPhases; ++phase) ends_.push_back(make_gpu_moment());
}

void Meters::begin_step() {
  ++timed_steps_;
  last_ = Clock::now();
}

void Meters::end_phase(Phase phase) {
  add_time(phase);
  if (!ends_.empty()) ends_[static_cast<int>(phase)]->record();
}

void Meters::end_step() {
  if (!ends_.empty()) add_time(Phase::kOptimizer);
}

void Meters::add_time(Phase phase) {
  const Clock::time_point now = Clock::now();
  ms_[static_cast<int>(phase)] += std::chrono::duration<double, std::milli>(now - last_).count();
  if (timeline_) timeline_->add(kStepTrack, name_of(phase), last_, now);
  last_ = now;
}

void Meters::add_loss(double loss) {
  loss_sum_ += loss;
  ++steps_;
}

double Meters::mean_ms(Phase phase) const {
  const auto index = static_cast<int>(phase);
  if (phase != Phase::kDataWait && !ends_.empty()) return ends_[index]->ms_since(*ends_[index - 1]);
  return ms_[index] / static_cast<double>(std::max<int64_t>(1, timed_steps_));
}

double Meters::mean_step_ms() const {
  return std::accumulate(std::begin(ms_), std::end(ms_), 0.0) /
         static_cast<double>(std::max<int64_t>(1, timed_steps_));
}

void Meters::reset() {
  std::fill(std::begin(ms_), std::end(ms_), 0.0);
  steps_ = timed_steps_ = 0;
  loss_sum_ = 0;
}

void Meters::restore(int64_t steps, double loss_sum) {
  reset();
  steps_ = steps;
  loss_sum_ = loss_sum;
}

}  // namespace resnext
