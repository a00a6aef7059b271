// Options of the input pipeline. Plain data, standard headers only.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace resnext {

// Named augmentation recipes; recipe.h says what each consists of.
enum class RecipeName { kSeed, kTorchvision, kTorchvisionV2, kCifar, kNone };

// full: one permutation of all samples each epoch. block: blocks of neighbours are permuted, then
// samples within a window of blocks (for storage that is slow at random reads).
enum class Shuffle { kFull, kBlock };

// Where a data set lies: a file, or a group or dataset within an HDF5 file.
struct DataAddress {
  std::string file;
  std::string object = "/";
};

// Written FILE.h5:/GROUP; FILE.h5 alone is its root group.
inline DataAddress parse_data_address(const std::string& text) {
  const size_t at = text.rfind(":/");
  if (at == std::string::npos || at == 0) return {text};
  return {text.substr(0, at), text.substr(at + 1)};
}

struct DataOptions {
  std::vector<std::string> train;       // addresses of the training split's files, in a row
  std::vector<std::string> validation;  // of the validation split's; empty: no validation
  // Of files that others made: the dataset of the images, below the split's group; empty: found.
  std::string images;
  std::string labels;  // the same of the labels; or the address of a dataset in another file
  std::string validation_labels;  // of the validation split, where they lie elsewhere
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
