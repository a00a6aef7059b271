// Resizing against Pillow's results.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/resample.h"

#include <gtest/gtest.h>

#include "data/augment/transforms.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::difference;
using testing::golden_image;

struct Size {
  int64_t height, width;
};
const std::pair<const char*, Filter> kFilters[] = {{"bilinear", Filter::kBilinear},
                                                   {"bicubic", Filter::kBicubic}};

Image resize(const Image& source, const ResizePlan& plan, int64_t height, int64_t width) {
  Image out;
  out.resize(height, width);
  Resampler().resize(source.view(), plan, height, width, out.pixels.data());
  return out;
}

Box whole(const Image& image) {
  return {0, 0, static_cast<double>(image.height), static_cast<double>(image.width)};
}

TEST(Resampler, EqualsPillow) {
  const Image source = golden_image("source");
  for (const auto& [name, filter] : kFilters) {
    for (const Size size : {Size{20, 30}, {45, 30}, {20, 67}, {90, 140}, {7, 9}}) {
      const std::string golden = std::string("resize_") + name + "_" + std::to_string(size.height) +
                                 "x" + std::to_string(size.width);
      const ResizePlan plan{whole(source), size.height, size.width, 0, 0, filter};
      const Image out = resize(source, plan, size.height, size.width);
      EXPECT_LE(difference(out.view(), golden_image(golden).view()).largest, 1) << golden;
    }
  }
}

TEST(Resampler, TakesFractionalBoxesAsPillowDoes) {
  const Image source = golden_image("source");
  for (const auto& [name, filter] : kFilters) {
    const ResizePlan plan{{2.25, 3.5, 38.5, 57}, 24, 26, 0, 0, filter};
    const Image golden = golden_image(std::string("box_") + name + "_24x26");
    EXPECT_LE(difference(resize(source, plan, 24, 26).view(), golden.view()).largest, 1) << name;
  }
}

TEST(Resampler, ComputesAnyWindowOfTheResult) {
  const Image source = testing::make_image(50, 70, 1);
  for (const auto& [name, filter] : kFilters) {
    const ResizePlan all{whole(source), 30, 80, 0, 0, filter};
    const Image full = resize(source, all, 30, 80);
    const ResizePlan part{whole(source), 30, 80, 7, 13, filter};
    const Image window = resize(source, part, 20, 21);
    EXPECT_EQ(difference(window.view(), full.view().crop(7, 13, 20, 21)).largest, 0) << name;
  }
}

TEST(Resampler, MirrorsAsAFlipBehindItWould) {
  const Image source = golden_image("source");
  for (const Size& size :
       {Size{24, 26}, {20, source.width}, {source.height, 31}, {source.height, source.width}}) {
    ResizePlan plan{whole(source), size.height, size.width, 3, 5, Filter::kBicubic};
    Image flipped = resize(source, plan, size.height - 4, size.width - 9);
    flip_horizontal(flipped.pixels.data(), flipped.height, flipped.width);
    plan.mirrored = true;
    EXPECT_EQ(resize(source, plan, size.height - 4, size.width - 9).pixels, flipped.pixels);
  }
}

TEST(Resampler, CopiesWhereNothingChanges) {
  const Image source = testing::make_image(20, 30, 2);
  const ResizePlan plan{whole(source), 20, 30, 3, 4, Filter::kBicubic};
  const Image out = resize(source, plan, 10, 11);
  EXPECT_EQ(difference(out.view(), source.view().crop(3, 4, 10, 11)).largest, 0);
}

TEST(Resampler, KeepsAConstantImageConstant) {
  Image source;
  source.resize(33, 19);
  std::fill(source.pixels.begin(), source.pixels.end(), uint8_t{201});
  for (const auto& [name, filter] : kFilters) {
    const Image out = resize(source, {whole(source), 12, 40, 0, 0, filter}, 12, 40);
    for (const uint8_t p : out.pixels) ASSERT_EQ(p, 201) << name;
  }
}

TEST(Resampler, TakesASinglePixel) {
  Image source;
  source.resize(1, 1);
  source.pixels = {1, 2, 3};
  const Image out = resize(source, {whole(source), 5, 5, 0, 0, Filter::kBicubic}, 5, 5);
  EXPECT_EQ(out.pixels[72], 1);
  EXPECT_EQ(out.pixels[74], 3);
}

}  // namespace
}  // namespace resnext
