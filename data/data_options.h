// Options of the input pipeline. Plain data, standard headers only.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace resnext {

// Named augmentation recipes; recipe.h says what each consists of.
enum class RecipeName { kSeed, kTorchvision, kTorchvisionV2, kCifar, kNone };

// full: one permutation of all samples each epoch. block: blocks of neighbours are permuted, then
// samples within a window of blocks (for storage that is slow at random reads).
enum class Shuffle { kFull, kBlock };

struct DataOptions {
  std::string train;       // container file of the training split
  std::string validation;  // container file of the validation split; empty: no validation
  RecipeName recipe = RecipeName::kTorchvision;
  int64_t size = 224;           // side of the square that the network sees, pixels
  int64_t evaluation_size = 0;  // the same in validation; 0: `size`
  int64_t resize = 256;         // validation: shorter side before the centre crop, pixels
  int64_t crops = 1;            // validation: squares of an image, 1 or 10
  int64_t threads = 4;          // decode threads of each rank
  int64_t prefetch = 4;         // micro-batches held ready ahead of the step
  Shuffle shuffle = Shuffle::kFull;
};

// Side of the square in validation, pixels.
inline int64_t evaluation_size(const DataOptions& options) {
  return options.evaluation_size > 0 ? options.evaluation_size : options.size;
}

}  // namespace resnext
