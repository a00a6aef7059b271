// Flip, pad and crop, erasing against their definitions.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/transforms.h"

#include <gtest/gtest.h>

#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::make_image;

TEST(FlipHorizontal, MirrorsEachRow) {
  for (const int64_t width : {1, 2, 7, 8}) {
    const Image image = make_image(3, width, 1);
    Image flipped = image;
    flip_horizontal(flipped.pixels.data(), 3, width);
    for (int64_t y = 0; y < 3; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        for (int64_t c = 0; c < 3; ++c) {
          ASSERT_EQ(flipped.row(y)[x * 3 + c], image.view().row(y)[(width - 1 - x) * 3 + c]);
        }
      }
    }
  }
}

TEST(PadAndCrop, EqualsCroppingAPaddedImage) {
  const Image image = make_image(5, 6, 2);
  const Colour fill = {9, 8, 7};
  constexpr int64_t kPad = 4;
  for (int64_t top = 0; top <= 2 * kPad; ++top) {
    for (int64_t left = 0; left <= 2 * kPad; ++left) {
      Image out;
      out.resize(5, 6);
      pad_and_crop(image.view(), kPad, fill, top, left, 5, 6, out.pixels.data());
      for (int64_t y = 0; y < 5; ++y) {
        for (int64_t x = 0; x < 6; ++x) {
          const int64_t sy = y + top - kPad, sx = x + left - kPad;
          const bool inside = sy >= 0 && sy < 5 && sx >= 0 && sx < 6;
          const uint8_t* want = inside ? image.view().row(sy) + sx * 3 : fill.data();
          ASSERT_TRUE(std::equal(want, want + 3, out.row(y) + x * 3)) << top << " " << left;
        }
      }
    }
  }
}

TEST(RandomErasing, FillsOneRectangleOfAllowedArea) {
  const Colour fill = {1, 2, 3};
  for (uint64_t i = 0; i < 200; ++i) {
    Image image;
    image.resize(60, 60);
    std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{200});
    KeyedRandom random(RandomUse::kAugment, 1, 1, i);
    random_erasing(image.pixels.data(), 60, 60, fill, random);
    int64_t erased = 0, top = 60, bottom = -1, left = 60, right = -1;
    for (int64_t y = 0; y < 60; ++y) {
      for (int64_t x = 0; x < 60; ++x) {
        if (image.row(y)[x * 3] == 200) continue;
        ASSERT_TRUE(std::equal(fill.begin(), fill.end(), image.row(y) + x * 3));
        ++erased;
        top = std::min(top, y), bottom = std::max(bottom, y);
        left = std::min(left, x), right = std::max(right, x);
      }
    }
    ASSERT_EQ(erased, (bottom - top + 1) * (right - left + 1));
    ASSERT_GT(erased, 3600 * 0.015);
    ASSERT_LT(erased, 3600 * 0.34);
  }
}

}  // namespace
}  // namespace resnext
