// Crop geometry: limits, distributions and closed forms.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/crop.h"

#include <gtest/gtest.h>

#include <cmath>

namespace resnext {
namespace {

using RandomCrop = Crop (*)(int64_t, int64_t, int64_t, KeyedRandom&);

KeyedRandom random_of(uint64_t i) {
  return {RandomUse::kAugment, 1, 2, i};
}

TEST(RandomCrops, LieInsideAndHaveAllowedAreaAndAspect) {
  for (const RandomCrop make : {&random_resized_crop, &random_sized_crop}) {
    for (uint64_t i = 0; i < 2000; ++i) {
      KeyedRandom random = random_of(i);
      const Crop crop = make(300, 400, 224, random);
      ASSERT_GE(crop.top, 0);
      ASSERT_GE(crop.left, 0);
      ASSERT_LE(crop.top + crop.height, 300);
      ASSERT_LE(crop.left + crop.width, 400);
      ASSERT_EQ(crop.resized_height, 224);
      const double area = static_cast<double>(crop.height * crop.width) / (300 * 400);
      const double aspect = static_cast<double>(crop.width) / static_cast<double>(crop.height);
      ASSERT_GT(area, 0.079);
      ASSERT_LE(area, 1);
      ASSERT_GT(aspect, 0.74);
      ASSERT_LT(aspect, 1.35);
    }
  }
}

// The mean of log(aspect): 0 for torchvision's log-uniform draw and, because of the swap, for the
// seed's; without the swap it would be 0.0207.
TEST(RandomCrops, AspectIsSymmetric) {
  for (const RandomCrop make : {&random_resized_crop, &random_sized_crop}) {
    double sum = 0;
    constexpr int kDraws = 20000;
    for (uint64_t i = 0; i < kDraws; ++i) {
      KeyedRandom random = random_of(i);
      const Crop crop = make(1000, 1000, 224, random);
      sum += std::log(static_cast<double>(crop.width) / static_cast<double>(crop.height));
    }
    EXPECT_NEAR(sum / kDraws, 0, 0.006);  // 5 standard errors
  }
}

TEST(RandomCrops, FallBackToTheMiddleOfExtremeShapes) {
  KeyedRandom random = random_of(0);
  const Crop wide = random_resized_crop(10, 1000, 8, random);
  EXPECT_EQ(wide.height, 10);
  EXPECT_EQ(wide.width, 13);  // round(10 * 4 / 3)
  EXPECT_EQ(wide.left, (1000 - 13) / 2);
  const Crop seed = random_sized_crop(10, 1000, 8, random);
  EXPECT_EQ(seed.resized_height, 8);
  EXPECT_EQ(seed.resized_width, 800);
  EXPECT_EQ(seed.out_left, 396);
}

TEST(RandomCrops, TakeASinglePixel) {
  KeyedRandom random = random_of(3);
  const Crop crop = random_resized_crop(1, 1, 4, random);
  EXPECT_EQ(crop.height, 1);
  EXPECT_EQ(crop.width, 1);
}

TEST(CentreCrop, TruncatesTheLongerSideAndSplitsTheMargin) {
  const Crop crop = centre_crop(45, 67, 32, 28);
  EXPECT_EQ(crop.resized_height, 32);
  EXPECT_EQ(crop.resized_width, 47);  // 32 * 67 / 45 = 47.6
  EXPECT_EQ(crop.out_top, 2);
  EXPECT_EQ(crop.out_left, 10);                                            // 9.5 to even
  EXPECT_EQ(centre_crop(256, 257, 256, 224).out_left, 16);                 // 16.5 to even
  EXPECT_EQ(centre_crop(256, 257, 256, 224, Centre::kSeed).out_left, 17);  // 16.5 up
}

}  // namespace
}  // namespace resnext
