// SPDX-License-Identifier: BSD-3-Clause
#include "worker/meters.h"

#include <algorithm>
#include <iterator>
#include <numeric>

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

void Meters::end_phase(Phase phase) {
  const Clock::time_point now = Clock::now();
  ms_[static_cast<int>(phase)] += std::chrono::duration<double, std::milli>(now - last_).count();
  if (timeline_) timeline_->add(name_of(phase), last_, now);
  last_ = now;
}

void Meters::end_step(double loss) {
  loss_sum_ += loss;
  ++steps_;
  ++timed_steps_;
}

double Meters::mean_ms(Phase phase) const {
  return ms_[static_cast<int>(phase)] / static_cast<double>(std::max<int64_t>(1, timed_steps_));
}

double Meters::mean_step_ms() const {
  return std::accumulate(std::begin(ms_), std::end(ms_), 0.0) /
         static_cast<double>(std::max<int64_t>(1, timed_steps_));
}

void Meters::reset() {
  *this = Meters(timeline_);
}

void Meters::restore(int64_t steps, double loss_sum) {
  reset();
  steps_ = steps;
  loss_sum_ = loss_sum;
}

}  // namespace resnext
