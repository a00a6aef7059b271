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

// How much an image counts in training's loss: all alike; or less where its class has many.
enum class ClassWeights { kNone, kBalanced };

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

// In place of an address: a split that is made, not read (data/container/synthetic_source.h).
inline constexpr const char* kSynthetic = "synthetic";
inline bool is_synthetic(const std::vector<std::string>& split) {
  return split.size() == 1 && split.front() == kSynthetic;
}

struct SyntheticOptions {
  int64_t images = 1'281'167;          // of the training split; ImageNet's
  int64_t validation_images = 50'000;  // the same of the validation split
  int64_t classes = 0;                 // 0: model.classes, or where that is 0 too ImageNet's 1000
};

// What is read between pixels: in crops and resizes, and where augmentation shears, moves or turns.
// auto: the recipe's own filter there, and nearest (trivial) or random (rand) here. random:
// bilinear or bicubic, each half of the time; in validation bicubic.
enum class Interpolation { kAuto, kBilinear, kBicubic, kRandom };

// What is done to an image in training behind crop and flip. recipe: what data.recipe says.
// trivial: TrivialAugmentWide (trivial_augment.h); rand: RandAugment (rand_augment.h).
enum class AugmentPolicy { kRecipe, kNone, kTrivial, kRand };

struct AugmentOptions {
  AugmentPolicy policy = AugmentPolicy::kRecipe;
  double magnitude = 9;      // rand: level of an operation, 0..10
  double deviation = 0.5;    // rand: of a normal number around it; 0: always the same
  int64_t operations = 2;    // rand: so many
  double probability = 0.5;  // rand: of each of them
  bool increasing = true;    // rand: every kind is stronger at a higher level
  double erasing = -1;       // probability of an erased rectangle; -1: the recipe's
};

struct DataOptions {
  std::vector<std::string> train;       // addresses of the training split's files, in a row
  std::vector<std::string> validation;  // of the validation split's; empty: no validation
  SyntheticOptions synthetic;
  // Of files that others made: the dataset of the images, below the split's group; empty: found.
  std::string images;
  std::string labels;  // the same of the labels; or the address of a dataset in another file
  std::string validation_labels;  // of the validation split, where they lie elsewhere
  RecipeName recipe = RecipeName::kTorchvision;
  Interpolation interpolation = Interpolation::kAuto;
  AugmentOptions augment;
  int64_t repeats = 1;              // training: so many differently augmented copies of each image
  int64_t size = 224;               // side of the square that the network sees, pixels
  std::vector<double> early_sizes;  // the same in the first epochs: whole numbers,
  std::vector<double> early_size_epochs;  // each until its epoch, from 0
  int64_t evaluation_size = 0;            // the same in validation; 0: `size`
  int64_t resize = 256;                   // validation: shorter side before the centre crop, pixels
  int64_t crops = 1;                      // validation: squares of an image, 1 or 10
  int64_t threads = 4;                    // decode threads of each rank
  int64_t prefetch = 4;                   // micro-batches held ready ahead of the step
  Shuffle shuffle = Shuffle::kFull;
  ClassWeights class_weights = ClassWeights::kNone;
};

// Side of the square in training, pixels.
inline int64_t size_at(const DataOptions& options, int64_t epoch) {
  for (size_t i = 0; i < options.early_sizes.size(); ++i) {
    if (static_cast<double>(epoch) < options.early_size_epochs[i]) {
      return static_cast<int64_t>(options.early_sizes[i]);
    }
  }
  return options.size;
}

// Side of the square in validation, pixels.
inline int64_t evaluation_size(const DataOptions& options) {
  return options.evaluation_size > 0 ? options.evaluation_size : options.size;
}

}  // namespace resnext
