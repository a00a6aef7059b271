// Colour operations against the same operations in float64, step by step.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/colour.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <set>

#include "tests/data/support.h"

namespace resnext {
namespace {

std::array<double, 3> mean_colour(const Image& image) {
  std::array<double, 3> mean{};
  for (size_t i = 0; i < image.pixels.size(); ++i) mean[i % 3] += image.pixels[i];
  for (double& m : mean) m /= static_cast<double>(image.height * image.width);
  return mean;
}

std::vector<float> mapped(const ColourMap& map, const std::vector<uint8_t>& pixels) {
  const PixelMap m = map.pixel_map();
  std::vector<float> values(pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) {
    const uint8_t* p = &pixels[i / 3 * 3];
    const float* row = m.matrix + i % 3 * 3;
    values[i] = row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + m.shift[i % 3];
  }
  return values;
}

TEST(ColourMap, EqualsTheOperationsOneByOne) {
  const std::pair<const char*, std::function<void(ColourMap&)>> cases[] = {
      {"brightness", [](ColourMap& m) { m.brightness(1.313); }},
      {"contrast", [](ColourMap& m) { m.contrast(0.65); }},
      {"saturation", [](ColourMap& m) { m.saturation(1.4); }},
      {"all",
       [](ColourMap& m) {
         m.contrast(1.37);
         m.saturation(0.61);
         m.brightness(0.8);
         m.add({0.05 * 255, -0.02 * 255, 0.01 * 255});
       }},
      {"other_order",
       [](ColourMap& m) {
         m.saturation(1.2);
         m.brightness(1.1);
         m.contrast(0.9);
       }},
  };
  for (const auto& [name, operations] : cases) {
    const Image image = testing::golden_image("resize_bilinear_20x30");
    ColourMap map(mean_colour(image));
    operations(map);
    const std::vector<float> values = mapped(map, image.pixels);
    const std::vector<float> golden = testing::golden_values(std::string("colour_") + name);
    ASSERT_EQ(values.size(), golden.size());
    for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], golden[i], 1e-4) << name;
  }
}

TEST(ColourMap, IdentityChangesNothing) {
  const Image image = testing::make_image(20, 20, 1);
  const auto values = mapped(ColourMap(mean_colour(image)), image.pixels);
  EXPECT_EQ(values, std::vector<float>(image.pixels.begin(), image.pixels.end()));
}

TEST(ColourJitter, DrawsWithinItsStrength) {
  // On a grey image of one value only brightness has an effect: 100 * (1 + U(-0.4, 0.4)).
  std::set<int> seen;
  for (uint64_t i = 0; i < 3000; ++i) {
    KeyedRandom random(RandomUse::kAugment, 1, 1, i);
    ColourMap map({100, 100, 100});
    colour_jitter(map, 0.4, random);
    const std::vector<float> pixel = mapped(map, {100, 100, 100});
    ASSERT_NEAR(pixel[0], pixel[2], 1e-4);
    ASSERT_GE(pixel[0], 60 - 1e-4);
    ASSERT_LE(pixel[0], 140 + 1e-4);
    seen.insert(static_cast<int>(pixel[0]));
  }
  EXPECT_GT(seen.size(), 75U);
}

TEST(Lighting, HasTheDeviationOfItsPrincipalComponents) {
  // Variance of red: sum over components of (0.1 * 255 * eigenvector * eigenvalue)^2.
  const double want = 25.5 * std::sqrt(std::pow(-0.5675 * 0.2175, 2) +
                                       std::pow(0.7192 * 0.0188, 2) + std::pow(0.4009 * 0.0045, 2));
  double sum = 0, squares = 0;
  constexpr int kDraws = 20000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    KeyedRandom random(RandomUse::kAugment, 2, 1, i);
    ColourMap map({128, 128, 128});
    lighting(map, 0.1, random);
    const std::vector<float> pixel = mapped(map, {128, 128, 128});
    sum += pixel[0] - 128.0;
    squares += (pixel[0] - 128.0) * (pixel[0] - 128.0);
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.12);
  EXPECT_NEAR(std::sqrt(squares / kDraws), want, 0.1);
}

}  // namespace
}  // namespace resnext
