// What the host gets to know of each step, without waiting for the device.
//
// A few numbers a step are copied to the host behind the step's work. On a GPU they are read
// kStepsAhead steps later: so far the host may run ahead, and on every rank it is the same, so that
// all ranks act on a report (a stop, a divergence) at the same step. On the CPU they are read at
// once. Local; belongs to the training thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "worker/step/step_report.h"

namespace resnext {

class StepReports {
 public:
  static constexpr int64_t kStepsAhead = 2;  // of a GPU; 0 on the CPU
  static constexpr int64_t kNumbers = 5;     // of a step

  // `steps_ahead` is what the host may run ahead.
  explicit StepReports(int64_t steps_ahead);
  ~StepReports();
  StepReports(const StepReports&) = delete;
  StepReports& operator=(const StepReports&) = delete;

  // `values`: float64 [kNumbers] on the device, in the order of StepReport.
  void push(int64_t step, const at::Tensor& values);
  // The reports that are due, oldest first: all but those of the last `steps_ahead` steps, or
  // `all`.
  std::vector<StepReport> take(bool all);

 private:
  struct Pending;
  int64_t steps_ahead_;
  std::deque<std::unique_ptr<Pending>> pending_;
};

}  // namespace resnext
