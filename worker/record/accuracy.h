// What a validation finds. Plain data.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

namespace resnext {

struct Accuracy {
  double loss = 0;     // mean cross entropy, without label smoothing
  double top1 = 0;     // percent
  double top5 = 0;     // percent; of all classes where there are fewer than 5
  int64_t images = 0;  // that were counted, over all ranks
};

// Of a place: of the weights, and of their moving average where there is one. The average's then
// decides what is the best.
struct Validation {
  Accuracy weights;
  std::optional<Accuracy> average;

  const Accuracy& deciding() const { return average ? *average : weights; }
};

}  // namespace resnext
