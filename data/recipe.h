// Named augmentation recipes: what happens to a decoded image in training and in validation.
//
// Each recipe's source is cited in recipe.cpp. Randomness is keyed by (seed, epoch, sample index).
// Local; const functions are thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "data/data_options.h"

namespace resnext {

// Which sample, when: the key of all its random draws.
struct SampleKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t index = 0;
};

struct RecipeOptions {
  RecipeName name = RecipeName::kTorchvision;
  int64_t size = 224;
  int64_t resize = 256;
  bool training = true;
  double fill[3] = {0, 0, 0};  // colour of padding, 0..255 (cifar: the mean, which is 0 once
                               // normalised)
};

}  // namespace resnext
