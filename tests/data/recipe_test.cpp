// Recipes as a whole, from stored bytes to the square that the network sees.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/recipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>

#include "comm/common/error.h"
#include "data/augment/crop.h"
#include "data/augment/resample.h"
#include "data/augment/torch_bicubic.h"
#include "data/augment/transforms.h"
#include "data/image/croppable_jpeg.h"
#include "data/image/image_decoder.h"
#include "data/image/jpeg_encoder.h"
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

// The bytes of the square, whatever its elements.
Bytes apply_bytes(const RecipeOptions& options, const StoredSample& sample, int64_t index = 0) {
  const Recipe recipe(options);
  Bytes out(static_cast<size_t>(recipe.square_bytes()));
  RecipeScratch scratch;
  recipe.apply(sample, {1, 0, index}, scratch, out.data());
  return out;
}

Image apply(const RecipeOptions& options, const StoredSample& sample, int64_t index = 0) {
  return {options.size, options.size, apply_bytes(options, sample, index)};
}

// The seed's.
std::vector<float> values_of(const Bytes& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

void expect_near(const std::vector<float>& values, const std::vector<float>& golden,
                 const std::string& what) {
  ASSERT_EQ(values.size(), golden.size()) << what;
  for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], golden[i], 5e-4) << what;
}

TEST(Recipe, ValidationEqualsTorchvision) {
  const Image source = golden_image("source");
  const Image out = apply(options_of(RecipeName::kTorchvision, false, 28, 32), raw(source));
  EXPECT_LE(difference(out.view(), golden_image("validation_torchvision").view()).largest, 1);
  const Image none = apply(options_of(RecipeName::kNone, true, 28, 32), raw(source));
  EXPECT_EQ(none.pixels, out.pixels) << "none is torchvision's validation, also in training";
}

// Against tests/data/make_seed_golden.py, which works in float64, pixel by pixel.
TEST(Recipe, EqualsTheSeedsArithmetic) {
  const Image source = golden_image("source");
  expect_near(values_of(apply_bytes(options_of(RecipeName::kSeed, false, 28, 32), raw(source))),
              testing::golden_values("validation_seed"), "validation");
  bool beyond = false;
  for (int64_t i = 0; i < 6; ++i) {
    const auto values =
        values_of(apply_bytes(options_of(RecipeName::kSeed, true, 24, 28), raw(source), i));
    expect_near(values, testing::golden_values("train_seed_" + std::to_string(i)),
                "training " + std::to_string(i));
    beyond = beyond || std::ranges::max(values) > 255 || std::ranges::min(values) < 0;
  }
  EXPECT_TRUE(beyond) << "nothing is limited to 0..255";
}

TEST(TorchBicubic, EqualsItsDescription) {
  const Image source = golden_image("source");
  TorchBicubic bicubic;
  for (const auto& [height, width] :
       {std::pair{20, 30}, {45, 30}, {20, 67}, {60, 80}, {7, 9}, {1, 1}}) {
    const std::string name =
        "torch_bicubic_" + std::to_string(height) + "x" + std::to_string(width);
    std::vector<float> out(static_cast<size_t>(height * width * 3));
    bicubic.resize(source.view(), {height, width, 0, 0}, height, width, out.data());
    expect_near(out, testing::golden_values(name), name);
  }
  std::vector<float> whole(60 * 80 * 3), part(10 * 12 * 3);
  bicubic.resize(source.view(), {60, 80, 0, 0}, 60, 80, whole.data());
  bicubic.resize(source.view(), {60, 80, 33, 68}, 10, 12, part.data());
  for (size_t i = 0; i < part.size(); ++i) {
    ASSERT_EQ(part[i], whole[((33 + i / 36) * 80 + 68) * 3 + i % 36]);
  }
}

TEST(Recipe, TheSeedsTenCropsAreCutOfTheWholeImage) {
  const Image image = make_image(32, 47, 3);  // nothing is resized
  RecipeOptions options = options_of(RecipeName::kSeed, false, 28, 32);
  options.crops = 10;
  const Recipe recipe(options);
  Bytes out(static_cast<size_t>(10 * recipe.square_bytes()));
  RecipeScratch scratch;
  recipe.apply(raw(image), {1, 0, 0}, scratch, out.data(), recipe.square_bytes());
  const std::vector<float> values = values_of(out);
  const int64_t top[] = {2, 0, 0, 4, 4}, left[] = {10, 0, 19, 0, 19};  // 19 / 2 upwards
  for (int64_t at = 0; at < static_cast<int64_t>(values.size()); ++at) {
    const int64_t crop = at / (28 * 84), y = at / 84 % 28, x = at / 3 % 28, c = at % 3;
    const int64_t column = left[crop % 5] + x;
    const int64_t from = crop < 5 ? column : 46 - column;
    ASSERT_EQ(values[static_cast<size_t>(at)], image.view().row(top[crop % 5] + y)[from * 3 + c]);
  }
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
    const Bytes out = apply_bytes(options_of(name, false, 28, 256), raw(image));
    if (name == RecipeName::kSeed) {
      EXPECT_EQ(values_of(out), std::vector<float>(image.pixels.begin(), image.pixels.end()));
    } else {
      EXPECT_EQ(out, image.pixels);
    }
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

// Of an encoded image only what the middle is made of is decoded; that changes no pixel.
TEST(Recipe, ValidationIsThatOfTheWholeImage) {
  for (const auto& [height, width] :
       {std::pair{75, 131}, {200, 120}, {20, 45}, {64, 64}, {33, 32}}) {
    const Bytes jpeg = encode_jpeg(make_image(height, width, 6).view(), 90);
    Image whole, resized;
    decode_image(jpeg, whole);
    const Crop crop = centre_crop(height, width, 32, 28);
    resized.resize(crop.resized_height, crop.resized_width);
    const Box box{0, 0, static_cast<double>(height), static_cast<double>(width)};
    for (const auto interpolation : {Interpolation::kBilinear, Interpolation::kBicubic}) {
      const bool bilinear = interpolation == Interpolation::kBilinear;
      Resampler().resize(whole.view(),
                         {box, resized.height, resized.width, 0, 0,
                          bilinear ? Filter::kBilinear : Filter::kBicubic},
                         resized.height, resized.width, resized.pixels.data());
      RecipeOptions options = options_of(RecipeName::kTorchvision, false, 28, 32);
      options.interpolation = interpolation;
      for (const Bytes& bytes : {jpeg, make_croppable(jpeg)}) {
        const Image out = apply(options, encoded(bytes));
        EXPECT_EQ(difference(out.view(), resized.view().crop(crop.out_top, crop.out_left, 28, 28))
                      .largest,
                  0)
            << height << "x" << width;
      }
    }
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
      EXPECT_EQ(apply_bytes(options, sample, 5), apply_bytes(options, sample, 5));
      if (name == RecipeName::kNone) continue;
      std::set<std::string> seen;
      for (int64_t i = 0; i < 20; ++i) seen.insert(as_text(apply_bytes(options, sample, i)));
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
        EXPECT_EQ(apply_bytes(options, encoded(jpeg), i), apply_bytes(options, raw(decoded), i));
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
        const Bytes out = apply_bytes(options_of(name, training, 16, 20), raw(image));
        EXPECT_EQ(out.size(), 16U * 16 * 3 * (name == RecipeName::kSeed ? 4 : 1));
      }
    }
  }
}

TEST(Recipe, RefusesDamageAndImpossibleOptions) {
  EXPECT_THROW(apply(options_of(RecipeName::kSeed, true, 8, 8), encoded(Bytes(20, 0))),
               DamagedImage);
  EXPECT_THROW(Recipe(options_of(RecipeName::kSeed, true, 0, 8)), ConfigError);
  EXPECT_THROW(Recipe(options_of(RecipeName::kSeed, true, 8, -1)), ConfigError);
  EXPECT_THROW(Recipe(options_of(RecipeName::kTorchvision, true, 16385, 16385)), ConfigError);
}

}  // namespace
}  // namespace resnext
