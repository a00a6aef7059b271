// The two families' networks by their three numbers. Plain data.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "model/model_options.h"

namespace resnext::test {

inline ModelOptions imagenet(int64_t depth, int64_t cardinality, int64_t base_width) {
  ModelOptions options;
  options.depth = depth;
  options.cardinality = cardinality;
  options.base_width = base_width;
  options.classes = 1000;
  return options;
}

inline ModelOptions cifar(int64_t depth, int64_t cardinality, int64_t base_width) {
  ModelOptions options = imagenet(depth, cardinality, base_width);
  options.family = Family::kCifar;
  options.classes = 10;
  return options;
}

}  // namespace resnext::test
