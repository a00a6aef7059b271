// The recipes: geometry first, then one decode and resize, then operations on the small square.
//
// Sources. seed: facebook/fb.resnet.torch datasets/imagenet.lua and transforms.lua. torchvision:
// pytorch/vision references/classification/presets.py and torchvision/transforms. cifar: He et al.
// 2015 (arXiv 1512.03385, section 4.2).
// SPDX-License-Identifier: BSD-3-Clause
#include "data/recipe.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "comm/common/error.h"
#include "data/crop.h"
#include "data/image.h"
#include "data/resample.h"
#include "data/transforms.h"

namespace resnext {

struct RecipeScratch::Buffers {
  Image decoded;
  Image square;
  Resampler resampler;
};

RecipeScratch::RecipeScratch() : buffers_(std::make_unique<Buffers>()) {}
RecipeScratch::~RecipeScratch() = default;
RecipeScratch::RecipeScratch(RecipeScratch&&) noexcept = default;

namespace {

constexpr int64_t kCifarPadding = 4;

Colour to_colour(const double (&fill)[3]) {
  Colour colour{};
  for (size_t c = 0; c < 3; ++c) {
    colour[c] = static_cast<uint8_t>(std::lround(std::clamp(fill[c], 0.0, 255.0)));
  }
  return colour;
}

// The part of the image that the recipe uses. May draw from `random`.
Crop choose_crop(const RecipeOptions& options, int64_t height, int64_t width, KeyedRandom& random) {
  const int64_t size = options.size;
  const bool draws =
      options.training && options.name != RecipeName::kNone && options.name != RecipeName::kCifar;
  if (draws && options.name == RecipeName::kSeed) {
    return random_sized_crop(height, width, size, random);
  }
  if (draws) return random_resized_crop(height, width, size, random);
  const bool fits = height == size && width == size;
  const int64_t resize =
      fits || options.name == RecipeName::kCifar ? size : std::max(options.resize, size);
  const Centre centre = options.name == RecipeName::kSeed ? Centre::kSeed : Centre::kTorchvision;
  return centre_crop(height, width, resize, size, centre);
}

}  // namespace

Recipe::Recipe(const RecipeOptions& options) : options_(options) {
  if (options.size <= 0) throw ConfigError("data.size", "must be positive", "give 224, or 32");
  if (options.resize <= 0) throw ConfigError("data.resize", "must be positive", "give 256");
}

void Recipe::apply(const StoredSample& sample, const SampleKey& key, RecipeScratch& scratch,
                   uint8_t* out) const {
  RecipeScratch::Buffers& buffers = *scratch.buffers_;
  KeyedRandom random(RandomUse::kAugment, key.seed, static_cast<uint64_t>(key.epoch),
                     static_cast<uint64_t>(key.index));
  const int64_t size = options_.size;
  const Crop crop = choose_crop(options_, sample.height, sample.width, random);
  const ImageView whole{sample.bytes.data(), sample.height, sample.width, sample.width * 3};
  const ImageView region = whole.crop(crop.top, crop.left, crop.height, crop.width);
  const Filter filter = options_.name == RecipeName::kSeed ? Filter::kBicubic : Filter::kBilinear;
  const ResizePlan plan{{0, 0, static_cast<double>(crop.height), static_cast<double>(crop.width)},
                        crop.resized_height,
                        crop.resized_width,
                        crop.out_top,
                        crop.out_left,
                        filter};
  const bool pads = options_.training && options_.name == RecipeName::kCifar;
  if (!pads) {
    buffers.resampler.resize(region, plan, size, size, out);
  } else {
    buffers.square.resize(size, size);
    buffers.resampler.resize(region, plan, size, size, buffers.square.pixels.data());
    const auto top = static_cast<int64_t>(random.below(2 * kCifarPadding + 1));
    const auto left = static_cast<int64_t>(random.below(2 * kCifarPadding + 1));
    pad_and_crop(buffers.square.view(), kCifarPadding, to_colour(options_.fill), top, left, size,
                 size, out);
  }
  if (options_.training && options_.name != RecipeName::kNone && random.chance(0.5)) {
    flip_horizontal(out, size, size);
  }
}

}  // namespace resnext
