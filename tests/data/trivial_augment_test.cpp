// The operations of TrivialAugmentWide against torchvision's results.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/trivial_augment.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Difference;
using testing::difference;
using testing::golden_image;

Difference compare(Augmentation kind, double magnitude, const std::string& golden,
                   const std::string& source = "square") {
  Image image = golden_image(source);
  std::vector<uint8_t> scratch;
  augment(kind, magnitude, image.pixels.data(), image.height, scratch);
  return difference(image.view(), golden_image("augment_" + golden).view());
}

TEST(TrivialAugment, GeometryEqualsTorchvision) {
  using A = Augmentation;
  EXPECT_EQ(compare(A::kShearX, 0.3, "ShearX_0.3").largest, 0);
  EXPECT_EQ(compare(A::kShearX, -0.66, "ShearX_-0.66").largest, 0);
  EXPECT_EQ(compare(A::kShearY, 0.45, "ShearY_0.45").largest, 0);
  EXPECT_EQ(compare(A::kTranslateX, 9, "TranslateX_9").largest, 0);
  EXPECT_EQ(compare(A::kTranslateY, -13, "TranslateY_-13").largest, 0);
  // Pillow computes positions with 16 fractional bits: a pixel here and there is its neighbour.
  EXPECT_LT(compare(A::kRotate, 31.5, "Rotate_31.5").mean, 0.05);
  EXPECT_LT(compare(A::kRotate, -117, "Rotate_-117").mean, 0.05);
}

TEST(TrivialAugment, ColoursEqualTorchvision) {
  using A = Augmentation;
  EXPECT_LE(compare(A::kBrightness, 0.5, "Brightness_0.5").largest, 1);
  EXPECT_LE(compare(A::kBrightness, -0.8, "Brightness_-0.8").largest, 1);
  EXPECT_LE(compare(A::kColour, 0.7, "Color_0.7").largest, 1);
  EXPECT_LE(compare(A::kColour, -0.6, "Color_-0.6").largest, 1);
  EXPECT_LE(compare(A::kContrast, 0.6, "Contrast_0.6").largest, 1);
  EXPECT_LE(compare(A::kContrast, -0.4, "Contrast_-0.4").largest, 1);
  EXPECT_LE(compare(A::kSharpness, 0.9, "Sharpness_0.9").largest, 1);
  EXPECT_LE(compare(A::kSharpness, -0.7, "Sharpness_-0.7").largest, 1);
  EXPECT_EQ(compare(A::kPosterize, 3, "Posterize_3").largest, 0);
  EXPECT_EQ(compare(A::kSolarize, 119, "Solarize_119").largest, 0);
  EXPECT_EQ(compare(A::kEqualize, 0, "Equalize_0").largest, 0);
  EXPECT_EQ(compare(A::kAutoContrast, 0, "AutoContrast_0", "square_dull").largest, 0);
}

TEST(TrivialAugment, DrawsManyDifferentResults) {
  const Image source = golden_image("square");
  std::set<std::string> seen;
  std::vector<uint8_t> scratch;
  for (uint64_t i = 0; i < 500; ++i) {
    Image image = source;
    KeyedRandom random(RandomUse::kAugment, 1, 1, i);
    trivial_augment(image.pixels.data(), image.height, random, scratch);
    seen.emplace(image.pixels.begin(), image.pixels.end());
  }
  EXPECT_GT(seen.size(), 200U);
}

TEST(TrivialAugment, SurvivesConstantAndSinglePixelImages) {
  std::vector<uint8_t> scratch;
  for (const int64_t size : {1, 2, 5}) {
    for (uint64_t i = 0; i < 300; ++i) {
      std::vector<uint8_t> pixels(static_cast<size_t>(size * size * 3), 77);
      KeyedRandom random(RandomUse::kAugment, 1, 1, i);
      trivial_augment(pixels.data(), size, random, scratch);
    }
  }
}

}  // namespace
}  // namespace resnext
