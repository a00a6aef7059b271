// The recipes: geometry first, then one decode and resize, then operations on the small square.
//
// Sources. seed: facebook/fb.resnet.torch datasets/imagenet.lua and transforms.lua. torchvision:
// pytorch/vision references/classification/presets.py and torchvision/transforms. cifar: He et al.
// 2015 (arXiv 1512.03385, section 4.2).
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/recipe.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/common/error.h"
#include "data/augment/colour.h"
#include "data/augment/crop.h"
#include "data/augment/rand_augment.h"
#include "data/augment/resample.h"
#include "data/augment/torch_bicubic.h"
#include "data/augment/transforms.h"
#include "data/augment/trivial_augment.h"
#include "data/image/image.h"
#include "data/image/image_decoder.h"

namespace resnext {

struct RecipeBuffers {
  Image decoded;
  Image square;
  std::vector<AugmentOperation> operations;  // on this sample
  std::vector<uint8_t> augmented;            // the other place of those that need two
  std::vector<uint8_t> warped;
  Resampler resampler;
  Filter filter = Filter::kBilinear;  // of this sample
  bool mirrored = false;              // this sample, where it is flipped as it is resized
  TorchBicubic bicubic;
  std::vector<float> values;
};

RecipeScratch::RecipeScratch() : buffers_(std::make_unique<RecipeBuffers>()) {}
RecipeScratch::~RecipeScratch() = default;
RecipeScratch::RecipeScratch(RecipeScratch&&) noexcept = default;

namespace {

constexpr int64_t kCifarPadding = 4;
constexpr int64_t kTenCrops = 10;
constexpr double kSeedJitter = 0.4;
constexpr double kSeedLighting = 0.1;
constexpr double kErasing = 0.1;  // of torchvision-v2

Colour to_colour(const double (&fill)[3]) {
  Colour colour{};
  for (size_t c = 0; c < 3; ++c) {
    colour[c] = static_cast<uint8_t>(std::lround(std::clamp(fill[c], 0.0, 255.0)));
  }
  return colour;
}

// The box as an image of its own, so that no pixel outside of it has an influence, where it lies on
// whole pixels; else (reduced decoding) the image as it is.
ImageView whole_pixels(const ImageView& image, Box& box) {
  const auto whole = [](double x) { return x == std::floor(x); };
  if (!whole(box.top) || !whole(box.left) || !whole(box.height) || !whole(box.width)) return image;
  const ImageView region =
      image.crop(static_cast<int64_t>(box.top), static_cast<int64_t>(box.left),
                 static_cast<int64_t>(box.height), static_cast<int64_t>(box.width));
  box.top = box.left = 0;
  return region;
}

// The part of the image that the recipe uses. May draw from `random`.
Crop choose_crop(const RecipeOptions& options, const StoredSample& sample, const ImageSize& image,
                 KeyedRandom& random) {
  const auto [height, width] = image;
  const int64_t size = options.size;
  const bool draws =
      options.training && options.name != RecipeName::kNone && options.name != RecipeName::kCifar;
  if (draws && options.name == RecipeName::kSeed) {
    return random_sized_crop(height, width, size, random);
  }
  if (draws) return random_resized_crop(height, width, size, random);
  // What was packed as raw squares has its crop behind it; an encoded image is as it came.
  const bool fits = sample.storage == Storage::kRaw && height == size && width == size;
  const int64_t resize =
      fits || options.name == RecipeName::kCifar ? size : std::max(options.resize, size);
  const Centre centre = options.name == RecipeName::kSeed ? Centre::kSeed : Centre::kTorchvision;
  return centre_crop(height, width, resize, size, centre);
}

// Of crops and resizes; `random` alone draws.
Filter choose_filter(const RecipeOptions& options, KeyedRandom& random) {
  switch (options.interpolation) {
    case Interpolation::kBilinear:
      return Filter::kBilinear;
    case Interpolation::kBicubic:
      return Filter::kBicubic;
    case Interpolation::kRandom:
      return options.training && random.chance(0.5) ? Filter::kBilinear : Filter::kBicubic;
    default:
      return Filter::kBilinear;
  }
}

// Where augmentation moves pixels. None: random.
std::optional<Sampling> sampling_of(const RecipeOptions& options) {
  switch (options.interpolation) {
    case Interpolation::kBilinear:
      return Sampling::kBilinear;
    case Interpolation::kBicubic:
      return Sampling::kBicubic;
    case Interpolation::kRandom:
      return std::nullopt;
    default:
      if (options.augment.policy == AugmentPolicy::kRand) return std::nullopt;
      return Sampling::kNearest;
  }
}

// The part of a length of pixels that outputs [first, first + count) are made of where all of it is
// resized to `resized`; whatever the filter.
PixelRange needed(int64_t length, int64_t resized, int64_t first, int64_t count) {
  const double scale = static_cast<double>(length) / static_cast<double>(resized);
  const auto reach = static_cast<int64_t>(2 * std::max(scale, 1.0)) + 2;
  const auto at = [&](int64_t i) { return static_cast<int64_t>(static_cast<double>(i) * scale); };
  return {std::max<int64_t>(0, at(first) - reach), std::min(length, at(first + count) + reach)};
}

// Decodes what the crop needs and resizes it to `height` x `width` pixels.
void render(const RecipeOptions& options, const StoredSample& sample, const Crop& crop,
            RecipeBuffers& buffers, int64_t height, int64_t width, uint8_t* out) {
  ResizePlan plan;
  plan.height = crop.resized_height;
  plan.width = crop.resized_width;
  plan.top = crop.out_top;
  plan.left = crop.out_left;
  plan.filter = buffers.filter;
  plan.mirrored = buffers.mirrored;
  plan.box = {0, 0, static_cast<double>(crop.height), static_cast<double>(crop.width)};
  ImageView region{sample.bytes.data(), sample.height, sample.width, sample.width * 3};
  if (sample.storage == Storage::kRaw) {
    region = region.crop(crop.top, crop.left, crop.height, crop.width);
  } else {
    Region wanted{crop.top, crop.left, crop.height, crop.width, 0, 0};
    if (options.training && options.name != RecipeName::kNone) {
      wanted.wanted_height = plan.height;
      wanted.wanted_width = plan.width;
      plan.box = decode_region(sample.bytes, wanted, buffers.decoded);
      region = whole_pixels(buffers.decoded.view(), plan.box);
    } else {
      const PixelRange rows = needed(crop.height, plan.height, plan.top, height);
      const PixelRange columns = needed(crop.width, plan.width, plan.left, width);
      wanted = {crop.top + rows.begin,
                crop.left + columns.begin,
                rows.end - rows.begin,
                columns.end - columns.begin,
                0,
                0};
      Box part = decode_region(sample.bytes, wanted, buffers.decoded);
      region = whole_pixels(buffers.decoded.view(), part);
      plan.source_top = rows.begin;
      plan.source_left = columns.begin;
    }
  }
  buffers.resampler.resize(region, plan, height, width, out);
}

void render_square(const RecipeOptions& options, const StoredSample& sample, const Crop& crop,
                   RecipeBuffers& buffers, uint8_t* out) {
  render(options, sample, crop, buffers, options.size, options.size, out);
}

// The pixels of the crop, at the image's full size: the seed's resizing begins there.
ImageView decode_crop(const StoredSample& sample, const Crop& crop, RecipeBuffers& buffers) {
  const ImageView image{sample.bytes.data(), sample.height, sample.width, sample.width * 3};
  if (sample.storage == Storage::kRaw) {
    return image.crop(crop.top, crop.left, crop.height, crop.width);
  }
  Box box = decode_region(sample.bytes, {crop.top, crop.left, crop.height, crop.width, 0, 0},
                          buffers.decoded);
  return whole_pixels(buffers.decoded.view(), box);
}

ResizedPart resized_part(const Crop& crop, bool mirrored = false) {
  return {crop.resized_height, crop.resized_width, crop.out_top, crop.out_left, mirrored};
}

// Of the whole resized image: the centre and the four corners, then those of its mirror image.
// `whole`: height x width pixels.
template <typename T>
void cut_ten(T* whole, int64_t height, int64_t width, const Crop& centre, int64_t size,
             uint8_t* out, int64_t stride) {
  const int64_t bottom = height - size, right = width - size;
  for (int mirrored = 0; mirrored < 2; ++mirrored) {
    if (mirrored == 1) flip_horizontal(whole, height, width);
    for (const auto& [top, left] : {std::pair{centre.out_top, centre.out_left},
                                    {int64_t{0}, int64_t{0}},
                                    {int64_t{0}, right},
                                    {bottom, int64_t{0}},
                                    {bottom, right}}) {
      const auto row_bytes = static_cast<size_t>(size * 3) * sizeof(T);
      for (int64_t y = 0; y < size; ++y) {
        std::memcpy(out + static_cast<size_t>(y) * row_bytes,
                    whole + ((top + y) * width + left) * 3, row_bytes);
      }
      out += stride;
    }
  }
}

void ten_crops(const RecipeOptions& options, const StoredSample& sample, const Crop& centre,
               RecipeBuffers& buffers, uint8_t* out, int64_t stride) {
  const int64_t height = centre.resized_height, width = centre.resized_width;
  Crop all = centre;
  all.out_top = all.out_left = 0;
  if (options.name == RecipeName::kSeed) {
    buffers.values.resize(static_cast<size_t>(height * width * 3));
    buffers.bicubic.resize(decode_crop(sample, all, buffers), resized_part(all), height, width,
                           buffers.values.data());
    return cut_ten(buffers.values.data(), height, width, centre, options.size, out, stride);
  }
  Image& whole = buffers.square;
  whole.resize(height, width);
  render(options, sample, all, buffers, height, width, whole.pixels.data());
  cut_ten(whole.pixels.data(), height, width, centre, options.size, out, stride);
}

void apply_seed(const RecipeOptions& options, const StoredSample& sample, const Crop& crop,
                KeyedRandom& random, RecipeBuffers& buffers, float* out) {
  const int64_t size = options.size;
  const ImageView pixels = decode_crop(sample, crop, buffers);
  if (!options.training) {
    return buffers.bicubic.resize(pixels, resized_part(crop), size, size, out);
  }
  const bool mirrored = random.chance(0.5);
  ColourMap map(buffers.bicubic.begin(pixels, resized_part(crop, mirrored), size, size));
  colour_jitter(map, kSeedJitter, random);
  lighting(map, kSeedLighting, random);
  buffers.bicubic.finish(map, out);
}

// In training of cifar: where the padded image is cut.
struct CifarCut {
  int64_t top = 0;
  int64_t left = 0;
  bool mirrored = false;
};

CifarCut draw_cifar_cut(KeyedRandom& random) {
  CifarCut cut;
  cut.top = static_cast<int64_t>(random.below(2 * kCifarPadding + 1));
  cut.left = static_cast<int64_t>(random.below(2 * kCifarPadding + 1));
  cut.mirrored = random.chance(0.5);
  return cut;
}

void render_cifar(const RecipeOptions& options, const StoredSample& sample, const Crop& crop,
                  const CifarCut& cut, RecipeBuffers& buffers, uint8_t* out) {
  const int64_t size = options.size;
  buffers.square.resize(size, size);
  render_square(options, sample, crop, buffers, buffers.square.pixels.data());
  pad_and_crop(buffers.square.view(), kCifarPadding, to_colour(options.fill), cut.top, cut.left,
               size, size, out);
  if (cut.mirrored) flip_horizontal(out, size, size);
}

// What AugmentOptions asks for, resolved; into buffers.operations.
void draw_operations(const RecipeOptions& options, KeyedRandom& random, RecipeBuffers& buffers) {
  buffers.operations.clear();
  if (!options.training) return;
  const std::optional<Sampling> sampling = sampling_of(options);
  if (options.augment.policy == AugmentPolicy::kTrivial) {
    const auto drawn = [&] {
      return random.chance(0.5) ? Sampling::kBilinear : Sampling::kBicubic;
    };
    trivial_augment(random, sampling ? *sampling : drawn(), buffers.operations);
  }
  if (options.augment.policy == AugmentPolicy::kRand) {
    rand_augment(options.augment, options.size, to_colour(options.fill), sampling, random,
                 buffers.operations);
  }
}

// Where the square must be for the operations on it to end in `out`; those in one place find it in
// the cache.
uint8_t* first_place(const RecipeOptions& options, RecipeBuffers& buffers, uint8_t* out) {
  buffers.augmented.resize(static_cast<size_t>(options.size * options.size * 3));
  const auto moves = std::ranges::count_if(
      buffers.operations,
      [](const AugmentOperation& operation) { return needs_two_places(operation.kind); });
  return moves % 2 == 0 ? out : buffers.augmented.data();
}

void augment(const RecipeOptions& options, RecipeBuffers& buffers, uint8_t* square, uint8_t* out) {
  uint8_t* other = square == out ? buffers.augmented.data() : out;
  for (const AugmentOperation& operation : buffers.operations) {
    const bool moves = needs_two_places(operation.kind);
    augment(operation, square, options.size, moves ? other : square, buffers.warped);
    if (moves) std::swap(square, other);
  }
}

void erase(const RecipeOptions& options, KeyedRandom& random, uint8_t* out) {
  if (options.augment.erasing > 0 && random.chance(options.augment.erasing)) {
    random_erasing(out, options.size, options.size, to_colour(options.fill), random);
  }
}

// With the recipe's own augmentation where nothing else is asked for.
RecipeOptions resolved(RecipeOptions options) {
  const bool own = options.name == RecipeName::kTorchvisionV2;
  AugmentOptions& asked = options.augment;
  if (asked.policy == AugmentPolicy::kRecipe) {
    asked.policy = own ? AugmentPolicy::kTrivial : AugmentPolicy::kNone;
  }
  if (asked.erasing < 0) asked.erasing = own ? kErasing : 0;
  return options;
}

}  // namespace

Recipe::Recipe(const RecipeOptions& options) : options_(resolved(options)) {
  if (options.size <= 0) throw ConfigError("data.size", "must be positive", "give 224, or 32");
  if (options.size > kLargestSide) {
    throw ConfigError("data.size", "must be at most " + std::to_string(kLargestSide), "give 224");
  }
  if (options.resize <= 0) throw ConfigError("data.resize", "must be positive", "give 256");
  if (options.crops != 1 && (options.crops != kTenCrops || options.training)) {
    throw ConfigError("data.crops", "must be 1, or 10 in validation", "give 1 or 10");
  }
}

Recipe Recipe::with_size(int64_t size) const {
  RecipeOptions options = options_;
  options.size = size;
  return Recipe(options);
}

void Recipe::apply(const StoredSample& sample, const SampleKey& key, RecipeScratch& scratch,
                   uint8_t* out, int64_t stride) const {
  KeyedRandom random(RandomUse::kAugment, key.seed, static_cast<uint64_t>(key.epoch),
                     static_cast<uint64_t>(key.index) ^ static_cast<uint64_t>(key.copy) << 48);
  RecipeBuffers& buffers = *scratch.buffers_;
  ImageSize stored{sample.height, sample.width};
  if (sample.storage == Storage::kJpeg) stored = read_image_size(sample.bytes);
  const Crop crop = choose_crop(options_, sample, stored, random);
  buffers.filter = choose_filter(options_, random);
  buffers.mirrored = false;
  if (options_.crops == kTenCrops) {
    ten_crops(options_, sample, crop, buffers, out, stride);
    return;
  }
  if (options_.name == RecipeName::kSeed) {
    apply_seed(options_, sample, crop, random, buffers, reinterpret_cast<float*>(out));
    return;
  }
  // All is drawn before the first pixel is made, as that says in which place.
  const bool cifar = options_.training && options_.name == RecipeName::kCifar;
  CifarCut cut;
  if (cifar) {
    cut = draw_cifar_cut(random);
  } else {
    buffers.mirrored =
        options_.training && options_.name != RecipeName::kNone && random.chance(0.5);
  }
  draw_operations(options_, random, buffers);
  uint8_t* square = first_place(options_, buffers, out);
  if (cifar) {
    render_cifar(options_, sample, crop, cut, buffers, square);
  } else {
    render_square(options_, sample, crop, buffers, square);
  }
  augment(options_, buffers, square, out);
  if (options_.training) erase(options_, random, out);
}

}  // namespace resnext
