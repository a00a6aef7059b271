// What the host gets to know of a step. Plain data.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace resnext {

struct StepReport {
  int64_t step = 0;      // steps taken, with this one
  double loss = 0;       // mean over the global batch
  bool stop = false;     // some rank was asked to stop
  bool skipped = false;  // it changed nothing: loss or gradients were not finite
  double loss_scale = 1;
  double gradient_norm = 0;  // before clipping; 0 without it
};

}  // namespace resnext
