// Flip, pad and crop.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/transforms.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace resnext {
namespace {

template <typename T>
void flip(T* pixels, int64_t height, int64_t width) {
  for (int64_t y = 0; y < height; ++y) {
    T* left = pixels + y * width * 3;
    T* right = left + (width - 1) * 3;
    for (; left < right; left += 3, right -= 3) std::swap_ranges(left, left + 3, right);
  }
}

}  // namespace

void fill_pixels(uint8_t* out, int64_t count, const Colour& colour) {
  std::array<uint8_t, 24> some;
  for (size_t i = 0; i < some.size(); ++i) some[i] = colour[i % 3];
  int64_t left = 3 * count;
  for (; left >= 24; left -= 24, out += 24) std::memcpy(out, some.data(), 24);
  std::memcpy(out, some.data(), static_cast<size_t>(left));
}

void flip_horizontal(uint8_t* pixels, int64_t height, int64_t width) {
  flip(pixels, height, width);
}

void flip_horizontal(float* pixels, int64_t height, int64_t width) {
  flip(pixels, height, width);
}

void pad_and_crop(const ImageView& source, int64_t padding, Colour fill, int64_t top, int64_t left,
                  int64_t out_height, int64_t out_width, uint8_t* out) {
  const int64_t before = std::clamp<int64_t>(padding - left, 0, out_width);
  const int64_t first = std::max<int64_t>(0, left - padding);
  const int64_t copied = std::clamp<int64_t>(source.width - first, 0, out_width - before);
  for (int64_t y = 0; y < out_height; ++y, out += out_width * 3) {
    const int64_t row = top + y - padding;
    if (row < 0 || row >= source.height) {
      fill_pixels(out, out_width, fill);
      continue;
    }
    fill_pixels(out, before, fill);
    std::memcpy(out + before * 3, source.row(row) + first * 3, static_cast<size_t>(copied * 3));
    fill_pixels(out + (before + copied) * 3, out_width - before - copied, fill);
  }
}

void random_erasing(uint8_t* pixels, int64_t height, int64_t width, Colour fill,
                    KeyedRandom& random) {
  const auto area = static_cast<double>(height * width);
  for (int i = 0; i < 10; ++i) {
    const double target = area * random.uniform(0.02, 0.33);
    const double aspect = std::exp(random.uniform(std::log(0.3), std::log(3.3)));
    const auto rows = static_cast<int64_t>(std::nearbyint(std::sqrt(target * aspect)));
    const auto columns = static_cast<int64_t>(std::nearbyint(std::sqrt(target / aspect)));
    if (rows >= height || columns >= width) continue;
    const auto top = static_cast<int64_t>(random.below(static_cast<uint64_t>(height - rows + 1)));
    const auto left =
        static_cast<int64_t>(random.below(static_cast<uint64_t>(width - columns + 1)));
    for (int64_t y = top; y < top + rows; ++y) {
      fill_pixels(pixels + (y * width + left) * 3, columns, fill);
    }
    return;
  }
}

}  // namespace resnext
