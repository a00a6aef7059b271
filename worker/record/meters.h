// What a run measures between two log lines: loss, and where the time of a step goes.
//
// Milliseconds of the training thread. On a GPU that thread runs ahead of the work: there the
// phases but the data wait are the device's, of the last micro-batch, and only their sum is of all
// steps. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "worker/record/timeline.h"

namespace resnext {

class GpuMoment;

// Parts of a step's time, in the order in which they come.
enum class Phase { kDataWait, kForward, kBackward, kExposedComm, kOptimizer };
constexpr int kPhases = 5;
std::string_view name_of(Phase phase);

class Meters {
 public:
  // `timeline` receives every phase; none when null. It must outlive this. `gpu`: the phases happen
  // on the current stream of a GPU.
  explicit Meters(Timeline* timeline = nullptr, bool gpu = false);

  // Null: none is wanted.
  Timeline* timeline() const { return timeline_; }

  // Time since the last call (or begin_step) belongs to `phase`. May be captured in a graph.
  void begin_step();
  void end_phase(Phase phase);
  // On a GPU: what is left of the host's time, launching a graph and waiting for a device behind.
  void end_step();
  // Of a step whose loss is known, which may be a later one than its end.
  void add_loss(double loss);

  // Since the last reset.
  int64_t steps() const { return steps_; }
  // Not a number when no step counted.
  double mean_loss() const { return steps_ > 0 ? loss_sum_ / static_cast<double>(steps_) : NAN; }
  double loss_sum() const { return loss_sum_; }
  double mean_step_ms() const;  // all phases; validation and checkpoints do not count
  // On a GPU the device must have passed the last step.
  double mean_ms(Phase phase) const;

  void reset();
  // Continues sums that a checkpoint saved; times start anew.
  void restore(int64_t steps, double loss_sum);

 private:
  using Clock = Timeline::Clock;
  void add_time(Phase phase);

  Timeline* timeline_;
  std::vector<std::shared_ptr<GpuMoment>> ends_;  // of the phases, on a GPU
  Clock::time_point last_ = Clock::now();
  double ms_[kPhases] = {};
  int64_t steps_ = 0;        // whose loss is summed
  int64_t timed_steps_ = 0;  // whose times are summed
  double loss_sum_ = 0;
};

}  // namespace resnext
