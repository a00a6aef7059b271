// Named augmentation recipes: what happens to a stored image in training and in validation.
//
// Each recipe's source is cited in recipe.cpp. Randomness is keyed by (seed, epoch, sample index).
// Local; const functions are thread-safe.
//
// seed            train: random crop of 8..100 % of the area, aspect 3/4..4/3; colour jitter, PCA
//                 lighting; flip. validation: shorter side to `resize`, centre. Bicubic as the
//                 seed's (torch_bicubic.h), in float32, and nothing is limited to 0..255.
// torchvision     train: RandomResizedCrop, bilinear; flip. validation: the same, bilinear.
// torchvision-v2  train: as before, flip, then TrivialAugmentWide and erasing with `fill` for one
//                 image in ten. validation: as torchvision.
// cifar           train: 4 pixels of `fill` around the image, random crop, flip. validation: the
//                 image itself. Images of another size are first cropped and resized to `size`.
// none            shorter side to `resize`, centre crop, also in training.
//
// Behind that, in training, what AugmentOptions adds or puts in the place of the recipe's own.
//
// Where nothing is drawn, a raw image that already is size x size passes unchanged.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "data/container/container.h"
#include "data/data_options.h"
#include "data/image/image.h"

namespace resnext {

// Which sample, when: the key of all its random draws.
struct SampleKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t index = 0;
  int64_t copy = 0;  // of the sample, where an epoch has several
};

struct RecipeOptions {
  RecipeName name = RecipeName::kTorchvision;
  AugmentOptions augment;  // in training
  Interpolation interpolation = Interpolation::kAuto;
  int64_t size = 224;
  int64_t resize = 256;
  int64_t crops = 1;  // 10 in validation: centre and corners of the resized image and of its mirror
                      // image (Krizhevsky et al. 2012, as the seed's TenCrop)
  bool training = true;
  double fill[3] = {0, 0, 0};  // colour of padding and erasing, 0..255 (give the mean, which is 0
                               // once normalised)
};

// A sample as a container stores it. Does not own the bytes.
struct StoredSample {
  Storage storage = Storage::kRaw;
  std::span<const uint8_t> bytes;  // raw: height * width * 3; jpeg: an encoded image
  int64_t height = 0;              // of raw
  int64_t width = 0;
};

struct RecipeBuffers;

// Memory that apply() works in. One for each thread, reused, so that no sample allocates.
class RecipeScratch {
 public:
  RecipeScratch();
  ~RecipeScratch();
  RecipeScratch(RecipeScratch&&) noexcept;

 private:
  friend class Recipe;
  std::unique_ptr<RecipeBuffers> buffers_;
};

class Recipe {
 public:
  // Throws ConfigError when size or resize is not positive or size is above kLargestSide (warp.h),
  // or several crops are for training.
  explicit Recipe(const RecipeOptions& options);

  const RecipeOptions& options() const { return options_; }

  // The same for other squares.
  Recipe with_size(int64_t size) const;

  // What the pixels are: float32 of the seed's recipe.
  PixelElement element() const {
    return options_.name == RecipeName::kSeed ? PixelElement::kFloat32 : PixelElement::kUint8;
  }
  // Bytes of one square.
  int64_t square_bytes() const {
    const int64_t values = options_.size * options_.size * 3;
    return element() == PixelElement::kFloat32 ? values * 4 : values;
  }

  // Writes size x size RGB pixels (NHWC order) to `out`, which is aligned to them; of several crops
  // each `stride` bytes behind the one before. Throws DamagedImage (image_decoder.h) when the
  // stored bytes cannot be decoded.
  void apply(const StoredSample& sample, const SampleKey& key, RecipeScratch& scratch, uint8_t* out,
             int64_t stride = 0) const;

 private:
  RecipeOptions options_;
};

}  // namespace resnext
