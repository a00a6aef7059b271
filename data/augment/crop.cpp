// Crop geometry of torchvision and of the seed.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/crop.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace resnext {
namespace {

constexpr int kTries = 10;
constexpr double kMinArea = 0.08;
constexpr double kMinAspect = 3.0 / 4;
constexpr double kMaxAspect = 4.0 / 3;

// Python's round(): halves go to the even neighbour, which nearbyint does in the default mode.
int64_t round_even(double x) {
  return static_cast<int64_t>(std::nearbyint(x));
}

int64_t middle(int64_t length, int64_t size, Centre centre) {
  const double margin = static_cast<double>(length - size) / 2;
  return centre == Centre::kSeed ? static_cast<int64_t>(std::ceil(margin)) : round_even(margin);
}

Crop whole_region_to_square(int64_t top, int64_t left, int64_t height, int64_t width,
                            int64_t size) {
  return {top, left, height, width, size, size, 0, 0};
}

// Places a region of that shape at random, if the image is large enough.
std::optional<Crop> place(int64_t height, int64_t width, int64_t crop_height, int64_t crop_width,
                          int64_t size, KeyedRandom& random) {
  if (crop_height <= 0 || crop_width <= 0 || crop_height > height || crop_width > width) {
    return std::nullopt;
  }
  const auto top = random.below(static_cast<uint64_t>(height - crop_height + 1));
  const auto left = random.below(static_cast<uint64_t>(width - crop_width + 1));
  return whole_region_to_square(static_cast<int64_t>(top), static_cast<int64_t>(left), crop_height,
                                crop_width, size);
}

}  // namespace

Crop centre_crop(int64_t height, int64_t width, int64_t resize, int64_t size, Centre centre) {
  const int64_t shorter = std::min(height, width);
  const auto resized = [&](int64_t length) {
    if (centre == Centre::kTorchvision) return resize * length / shorter;
    return static_cast<int64_t>(static_cast<double>(length) / static_cast<double>(shorter) *
                                static_cast<double>(resize));
  };
  Crop crop{0, 0, height, width, resized(height), resized(width), 0, 0};
  crop.out_top = middle(crop.resized_height, size, centre);
  crop.out_left = middle(crop.resized_width, size, centre);
  return crop;
}

Crop random_resized_crop(int64_t height, int64_t width, int64_t size, KeyedRandom& random) {
  const auto area = static_cast<double>(height * width);
  for (int i = 0; i < kTries; ++i) {
    const double target = area * random.uniform(kMinArea, 1);
    const double aspect = std::exp(random.uniform(std::log(kMinAspect), std::log(kMaxAspect)));
    const int64_t crop_width = round_even(std::sqrt(target * aspect));
    const int64_t crop_height = round_even(std::sqrt(target / aspect));
    if (auto crop = place(height, width, crop_height, crop_width, size, random)) return *crop;
  }
  const double aspect = static_cast<double>(width) / static_cast<double>(height);
  int64_t crop_height = height;
  int64_t crop_width = width;
  if (aspect < kMinAspect) crop_height = round_even(static_cast<double>(width) / kMinAspect);
  if (aspect > kMaxAspect) crop_width = round_even(static_cast<double>(height) * kMaxAspect);
  return whole_region_to_square((height - crop_height) / 2, (width - crop_width) / 2, crop_height,
                                crop_width, size);
}

Crop random_sized_crop(int64_t height, int64_t width, int64_t size, KeyedRandom& random) {
  const auto area = static_cast<double>(height * width);
  for (int i = 0; i < kTries; ++i) {
    const double target = area * random.uniform(kMinArea, 1);
    const double aspect = random.uniform(kMinAspect, kMaxAspect);
    int64_t crop_width = std::llround(std::sqrt(target * aspect));
    int64_t crop_height = std::llround(std::sqrt(target / aspect));
    if (random.chance(0.5)) std::swap(crop_width, crop_height);
    if (auto crop = place(height, width, crop_height, crop_width, size, random)) return *crop;
  }
  return centre_crop(height, width, size, size, Centre::kSeed);
}

}  // namespace resnext
