// What a run measures between two log lines: loss, and where the time of a step goes.
//
// Times are of the training thread, milliseconds. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "worker/timeline.h"

namespace resnext {

// Parts of a step's time, in the order in which they come.
enum class Phase { kDataWait, kForward, kBackward, kExposedComm, kOptimizer };
constexpr int kPhases = 5;
std::string_view name_of(Phase phase);

class Meters {
 public:
  // `timeline` receives every phase; none when null. It must outlive this.
  explicit Meters(Timeline* timeline = nullptr) : timeline_(timeline) {}

  // Time since the last call (or begin_step) belongs to `phase`.
  void begin_step() { last_ = Clock::now(); }
  void end_phase(Phase phase);
  void end_step(double loss);

  // Since the last reset.
  int64_t steps() const { return steps_; }
  double mean_loss() const { return steps_ > 0 ? loss_sum_ / static_cast<double>(steps_) : 0; }
  double mean_ms(Phase phase) const;
  double mean_step_ms() const;  // all phases; validation and checkpoints do not count
  double loss_sum() const { return loss_sum_; }

  void reset();
  // Continues sums that a checkpoint saved; times start anew.
  void restore(int64_t steps, double loss_sum);

 private:
  using Clock = Timeline::Clock;
  Timeline* timeline_;
  Clock::time_point last_ = Clock::now();
  double ms_[kPhases] = {};
  int64_t steps_ = 0;        // whose loss is summed
  int64_t timed_steps_ = 0;  // whose times are summed
  double loss_sum_ = 0;
};

}  // namespace resnext
