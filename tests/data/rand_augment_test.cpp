// RandAugment against timm's levels, warps against Pillow's pixels, and the options of a recipe.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/rand_augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "data/augment/recipe.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::difference;
using testing::golden_image;
using A = Augmentation;

const std::map<std::string, Augmentation> kNames = {{"AutoContrast", A::kAutoContrast},
                                                    {"Equalize", A::kEqualize},
                                                    {"Invert", A::kInvert},
                                                    {"Rotate", A::kRotate},
                                                    {"Posterize", A::kPosterize},
                                                    {"Solarize", A::kSolarize},
                                                    {"SolarizeAdd", A::kSolarizeAdd},
                                                    {"Color", A::kColour},
                                                    {"Contrast", A::kContrast},
                                                    {"Brightness", A::kBrightness},
                                                    {"Sharpness", A::kSharpness},
                                                    {"ShearX", A::kShearX},
                                                    {"ShearY", A::kShearY},
                                                    {"TranslateX", A::kTranslateX},
                                                    {"TranslateY", A::kTranslateY}};

bool is_factor(Augmentation kind) {
  return kind == A::kColour || kind == A::kContrast || kind == A::kBrightness ||
         kind == A::kSharpness;
}

TEST(RandAugment, LevelsMeanWhatTimmsMean) {
  std::ifstream table(testing::golden_path("rand_augment.txt"));
  std::string name;
  bool increasing = false;
  int64_t side = 0, lines = 0;
  double level = 0, positive = 0, negative = 0;
  std::set<Augmentation> seen;
  while (table >> name >> increasing >> side >> level >> positive >> negative) {
    ++lines;
    const Augmentation kind = kNames.at(name);
    seen.insert(kind);
    const double magnitude = rand_magnitude(kind, level, side, increasing);
    const double other = rand_has_sign(kind, increasing) ? -magnitude : magnitude;
    const double offset = is_factor(kind) ? 1 : 0;  // timm counts factors
    EXPECT_NEAR(offset + magnitude, positive, 1e-12) << name << " " << level;
    EXPECT_NEAR(offset + other, negative, 1e-12) << name << " " << level;
  }
  EXPECT_EQ(lines, 15 * 2 * 2 * 21);
  const auto kinds = rand_augment_kinds();
  EXPECT_EQ(std::set<Augmentation>(kinds.begin(), kinds.end()), seen);
  EXPECT_EQ(kinds.size(), seen.size());
}

int largest_difference(Augmentation kind, double magnitude, const WarpStyle& style,
                       const std::string& golden) {
  const Image image = golden_image("square");
  Image out = image;
  std::vector<uint8_t> scratch;
  augment({kind, magnitude, style}, image.pixels.data(), image.height, out.pixels.data(), scratch);
  return difference(out.view(), golden_image(golden).view()).largest;
}

TEST(RandAugment, MovedPixelsEqualPillows) {
  for (const auto& [sampling, name] :
       {std::pair{Sampling::kBilinear, "bilinear"}, {Sampling::kBicubic, "bicubic"}}) {
    const WarpStyle style{sampling, {124, 116, 104}};
    const std::string golden = std::string("warp_") + name;
    EXPECT_LE(largest_difference(A::kRotate, 31.5, style, golden + "_rotate"), 1);
    EXPECT_LE(largest_difference(A::kShearX, 0.27, style, golden + "_shear"), 1);
    EXPECT_LE(largest_difference(A::kTranslateX, 5.4, style, golden + "_move"), 1);
  }
  EXPECT_EQ(largest_difference(A::kInvert, 0, {}, "augment_Invert"), 0);
  EXPECT_EQ(largest_difference(A::kSolarizeAdd, 77, {}, "augment_SolarizeAdd_77"), 0);
}

// ---- options of a recipe ------------------------------------------------------------------------

std::vector<uint8_t> drawn(const RecipeOptions& options, int64_t index, int64_t copy = 0) {
  const Image source = golden_image("square");
  const Recipe recipe(options);
  RecipeScratch scratch;
  std::vector<uint8_t> out(static_cast<size_t>(recipe.square_bytes()));
  recipe.apply({Storage::kRaw, source.pixels, source.height, source.width}, {3, 1, index, copy},
               scratch, out.data());
  return out;
}

RecipeOptions options_of(RecipeName name, AugmentPolicy policy = AugmentPolicy::kRecipe,
                         double erasing = -1) {
  RecipeOptions options;
  options.name = name;
  options.size = 24;
  options.resize = 24;
  options.augment.policy = policy;
  options.augment.erasing = erasing;
  return options;
}

TEST(RecipeOptions, TakeTheRecipesOwnAugmentationsPlace) {
  const auto v1 = RecipeName::kTorchvision, v2 = RecipeName::kTorchvisionV2;
  const auto with_own = options_of(v1, AugmentPolicy::kTrivial, 0.1);
  const auto without = options_of(v2, AugmentPolicy::kNone, 0);
  for (int64_t i = 0; i < 40; ++i) {
    EXPECT_EQ(drawn(with_own, i), drawn(options_of(v2), i)) << i;
    EXPECT_EQ(drawn(without, i), drawn(options_of(v1), i)) << i;
  }
}

// What nothing else changes: the middle of the image, as it is and augmented.
TEST(RecipeOptions, AddToRecipesWithoutAugmentation) {
  for (const RecipeName name : {RecipeName::kNone, RecipeName::kCifar}) {
    std::set<std::vector<uint8_t>> plain, augmented;
    for (int64_t i = 0; i < 60; ++i) {
      plain.insert(drawn(options_of(name), i));
      augmented.insert(drawn(options_of(name, AugmentPolicy::kRand), i));
    }
    EXPECT_GT(augmented.size(), 40U);
    EXPECT_LT(plain.size(), name == RecipeName::kNone ? 2U : 60U);
  }
  RecipeOptions validation = options_of(RecipeName::kNone, AugmentPolicy::kRand, 1);
  validation.training = false;
  EXPECT_EQ(drawn(validation, 1), drawn(options_of(RecipeName::kNone), 1));
}

// Each image is resized by the one filter or the other, half of the time; tests by the sharper.
TEST(RecipeOptions, RandomInterpolationIsBilinearOrBicubic) {
  RecipeOptions options = options_of(RecipeName::kNone);
  const auto with = [&](Interpolation interpolation, int64_t i) {
    options.interpolation = interpolation;
    return drawn(options, i);
  };
  const auto bilinear = with(Interpolation::kBilinear, 0),
             bicubic = with(Interpolation::kBicubic, 0);
  ASSERT_NE(bilinear, bicubic);
  EXPECT_EQ(with(Interpolation::kAuto, 0), bilinear);
  int first = 0;
  constexpr int kDraws = 2000;
  for (int64_t i = 0; i < kDraws; ++i) {
    const auto pixels = with(Interpolation::kRandom, i);
    ASSERT_TRUE(pixels == bilinear || pixels == bicubic);
    first += pixels == bilinear ? 1 : 0;
  }
  EXPECT_NEAR(first, kDraws / 2, 5 * std::sqrt(kDraws / 4.0));
  options.training = false;
  EXPECT_EQ(with(Interpolation::kRandom, 0), bicubic);
}

TEST(RecipeOptions, CopiesOfAnImageAreDrawnAnew) {
  const auto options = options_of(RecipeName::kTorchvision, AugmentPolicy::kRand);
  std::set<std::vector<uint8_t>> copies;
  for (int64_t copy = 0; copy < 20; ++copy) copies.insert(drawn(options, 5, copy));
  EXPECT_EQ(copies.size(), 20U);
  EXPECT_EQ(drawn(options, 5, 0), drawn(options, 5));
}

}  // namespace
}  // namespace resnext
