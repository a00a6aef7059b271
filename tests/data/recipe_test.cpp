// Recipes as a whole, from stored bytes to the square that the network sees.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/recipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "comm/common/error.h"
#include "data/image_decoder.h"
#include "data/jpeg_encoder.h"
#include "data/transforms.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::difference;
using testing::golden_image;
using testing::make_image;

constexpr RecipeName kAll[] = {RecipeName::kSeed, RecipeName::kTorchvision,
                               RecipeName::kTorchvisionV2, RecipeName::kCifar, RecipeName::kNone};

RecipeOptions options_of(RecipeName name, bool training, int64_t size, int64_t resize) {
  RecipeOptions options;
  options.name = name;
  options.training = training;
  options.size = size;
  options.resize = resize;
  return options;
}

std::string as_text(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

StoredSample raw(const Image& image) {
  return {Storage::kRaw, image.pixels, image.height, image.width};
}
StoredSample encoded(const Bytes& bytes) {
  return {Storage::kJpeg, bytes, 0, 0};
}

Image apply(const RecipeOptions& options, const StoredSample& sample, int64_t index = 0) {
  Image out;
  out.resize(options.size, options.size);
  RecipeScratch scratch;
  Recipe(options).apply(sample, {1, 0, index}, scratch, out.pixels.data());
  return out;
}

TEST(Recipe, ValidationEqualsTorchvision) {
  const Image source = golden_image("source");
  const Image out = apply(options_of(RecipeName::kTorchvision, false, 28, 32), raw(source));
  EXPECT_LE(difference(out.view(), golden_image("validation_torchvision").view()).largest, 1);
  const Image none = apply(options_of(RecipeName::kNone, true, 28, 32), raw(source));
  EXPECT_EQ(none.pixels, out.pixels) << "none is torchvision's validation, also in training";
}

// The seed splits the odd margin of 47 - 28 columns upwards (10), torchvision to even (10 too).
TEST(Recipe, SeedValidationIsBicubic) {
  const Image out =
      apply(options_of(RecipeName::kSeed, false, 28, 32), raw(golden_image("source")));
  EXPECT_LE(difference(out.view(), golden_image("validation_seed").view()).largest, 1);
}

// Nothing is resized here, so each crop is a part of the image or of its mirror image.
TEST(Recipe, TenCropsAreCentreAndCornersAndTheSameOfTheMirrorImage) {
  Image image = make_image(32, 47, 3);
  RecipeOptions options = options_of(RecipeName::kTorchvision, false, 28, 32);
  options.crops = 10;
  const Recipe recipe(options);
  const int64_t stride = recipe.square_bytes() + 7;  // others' images lie between
  Bytes out(static_cast<size_t>(10 * stride));
  RecipeScratch scratch;
  recipe.apply(raw(image), {1, 0, 0}, scratch, out.data(), stride);
  for (int64_t crop = 0; crop < 10; ++crop) {
    if (crop == 5) flip_horizontal(image.pixels.data(), image.height, image.width);
    const int64_t top[] = {2, 0, 0, 4, 4}, left[] = {10, 0, 19, 0, 19};  // 19 / 2 to even
    const ImageView expected = image.view().crop(top[crop % 5], left[crop % 5], 28, 28);
    const ImageView found{out.data() + crop * stride, 28, 28, 28 * 3};
    EXPECT_EQ(difference(found, expected).largest, 0) << "crop " << crop;
  }
}

TEST(Recipe, TheFirstOfTenCropsIsTheOneOfOthers) {
  const Image source = golden_image("source");
  RecipeOptions options = options_of(RecipeName::kTorchvision, false, 28, 32);
  const Image one = apply(options, raw(source));
  options.crops = 10;
  const Recipe recipe(options);
  Bytes out(static_cast<size_t>(10 * recipe.square_bytes()));
  RecipeScratch scratch;
  recipe.apply(raw(source), {1, 0, 0}, scratch, out.data(), recipe.square_bytes());
  EXPECT_TRUE(std::equal(one.pixels.begin(), one.pixels.end(), out.begin()));
}

TEST(Recipe, SeveralCropsAreForValidation) {
  RecipeOptions options = options_of(RecipeName::kTorchvision, true, 28, 32);
  options.crops = 10;
  EXPECT_THROW(Recipe{options}, ConfigError);
  options.training = false;
  options.crops = 5;
  EXPECT_THROW(Recipe{options}, ConfigError);
}

TEST(Recipe, RawImagesOfTheRightSizePassUnchangedInValidation) {
  const Image image = make_image(28, 28, 1);
  for (const RecipeName name : kAll) {
    EXPECT_EQ(apply(options_of(name, false, 28, 256), raw(image)).pixels, image.pixels);
  }
  EXPECT_EQ(apply(options_of(RecipeName::kNone, true, 28, 256), raw(image)).pixels, image.pixels);
  // A stored square of the resize length is only cropped.
  const Image larger = make_image(32, 32, 2);
  const Image out = apply(options_of(RecipeName::kTorchvision, false, 28, 32), raw(larger));
  EXPECT_EQ(difference(out.view(), larger.view().crop(2, 2, 28, 28)).largest, 0);
}

// As torchvision's Resize(32), CenterCrop(28) do it, whatever the size of the file.
TEST(Recipe, EncodedImagesOfTheRightSizeAreResizedAndCropped) {
  const Bytes jpeg = encode_jpeg(make_image(28, 28, 1).view(), 90);
  Image decoded, resized;
  decode_image(jpeg, decoded);
  resized.resize(32, 32);
  Resampler().resize(decoded.view(), {{0, 0, 28, 28}, 32, 32, 0, 0, Filter::kBilinear}, 32, 32,
                     resized.pixels.data());
  for (const RecipeName name : {RecipeName::kTorchvision, RecipeName::kNone}) {
    const Image out = apply(options_of(name, false, 28, 32), encoded(jpeg));
    EXPECT_LE(difference(out.view(), resized.view().crop(2, 2, 28, 28)).largest, 1);
    EXPECT_GT(difference(out.view(), decoded.view()).largest, 8);
  }
}

TEST(Recipe, CifarTrainingIsAShiftWithFillAndFlip) {
  const Image image = make_image(32, 32, 3);
  RecipeOptions options = options_of(RecipeName::kCifar, true, 32, 256);
  options.fill[0] = 125.3;
  options.fill[1] = 123.0;
  options.fill[2] = 113.9;
  const uint8_t fill[3] = {125, 123, 114};
  std::set<std::string> candidates;
  for (int dy = -4; dy <= 4; ++dy) {
    for (int dx = -4; dx <= 4; ++dx) {
      Bytes shifted(32 * 32 * 3), flipped(32 * 32 * 3);
      for (int y = 0; y < 32; ++y) {
        for (int x = 0; x < 32; ++x) {
          const int sy = y + dy, sx = x + dx;
          const bool inside = sy >= 0 && sy < 32 && sx >= 0 && sx < 32;
          const uint8_t* from = inside ? image.view().row(sy) + sx * 3 : fill;
          std::copy(from, from + 3, &shifted[static_cast<size_t>((y * 32 + x) * 3)]);
          std::copy(from, from + 3, &flipped[static_cast<size_t>((y * 32 + 31 - x) * 3)]);
        }
      }
      candidates.insert(as_text(shifted));
      candidates.insert(as_text(flipped));
    }
  }
  std::set<std::string> seen;
  for (int64_t i = 0; i < 2000; ++i) {
    const Image out = apply(options, raw(image), i);
    ASSERT_TRUE(candidates.contains(as_text(out.pixels)));
    seen.insert(as_text(out.pixels));
  }
  EXPECT_EQ(seen.size(), 162U) << "all 9 * 9 * 2 come up in 2000 draws (probability 0.999)";
}

TEST(Recipe, IsAFunctionOfItsKey) {
  const Image image = make_image(40, 50, 4);
  const Bytes jpeg = encode_jpeg(image.view(), 90);
  for (const RecipeName name : kAll) {
    const RecipeOptions options = options_of(name, true, 24, 28);
    for (const StoredSample& sample : {raw(image), encoded(jpeg)}) {
      EXPECT_EQ(apply(options, sample, 5).pixels, apply(options, sample, 5).pixels);
      if (name == RecipeName::kNone) continue;
      std::set<std::string> seen;
      for (int64_t i = 0; i < 20; ++i) seen.insert(as_text(apply(options, sample, i).pixels));
      EXPECT_GT(seen.size(), 15U);
    }
  }
}

// The parts that a JPEG is decoded in must not show: the same as from the decoded pixels.
TEST(Recipe, EncodedEqualsDecoded) {
  const Bytes jpeg = encode_jpeg(make_image(120, 150, 5).view(), 90);
  Image decoded;
  decode_image(jpeg, decoded);
  for (const RecipeName name : kAll) {
    for (const bool training : {true, false}) {
      const RecipeOptions options = options_of(name, training, 64, 72);
      for (int64_t i = 0; i < 30; ++i) {
        EXPECT_EQ(apply(options, encoded(jpeg), i).pixels, apply(options, raw(decoded), i).pixels);
      }
    }
  }
}

TEST(Recipe, TakesImagesOfEverySize) {
  for (const RecipeName name : kAll) {
    for (const bool training : {true, false}) {
      for (const auto& [height, width] :
           {std::pair{1, 1}, {1, 200}, {200, 1}, {3, 5}, {31, 33}, {300, 20}}) {
        const Image image = make_image(height, width, 6);
        const Image out = apply(options_of(name, training, 16, 20), raw(image));
        EXPECT_EQ(out.pixels.size(), 16U * 16 * 3);
      }
    }
  }
}

TEST(Recipe, RefusesDamageAndImpossibleOptions) {
  EXPECT_THROW(apply(options_of(RecipeName::kSeed, true, 8, 8), encoded(Bytes(20, 0))),
               DamagedImage);
  EXPECT_THROW(Recipe(options_of(RecipeName::kSeed, true, 0, 8)), ConfigError);
  EXPECT_THROW(Recipe(options_of(RecipeName::kSeed, true, 8, -1)), ConfigError);
}

}  // namespace
}  // namespace resnext
