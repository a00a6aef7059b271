// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/pixels.h"

#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "worker/input/pixel_threads.h"

namespace resnext {
namespace {

constexpr std::array<double, 3> kMean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> kStd = {0.229, 0.224, 0.225};

std::vector<uint8_t> every_value(int64_t count) {
  std::vector<uint8_t> bytes(count);
  for (int64_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 37 + i / 256);
  return bytes;
}

double normalised(uint8_t pixel, int channel) {
  return (pixel / 255.0 - kMean[channel]) / kStd[channel];
}

struct Format {
  at::ScalarType type;
  double relative;  // half a unit in the last place of the type
};
const Format kFormats[] = {
    {at::kDouble, 1e-15}, {at::kFloat, 6e-8}, {at::kBFloat16, 0.00391}, {at::kHalf, 0.0005}};

TEST(PixelNormaliser, MatchesTheFormulaInEveryTypeAndLayout) {
  std::vector<uint8_t> bytes = every_value(2 * 20 * 20 * 3);
  const at::Tensor pixels = at::from_blob(bytes.data(), {2, 20, 20, 3}, at::kByte);
  for (const Format& format : kFormats) {
    for (bool channels_last : {true, false}) {
      const PixelNormaliser normalise(kMean, kStd, at::kCPU, format.type, channels_last);
      at::Tensor images = normalise.make_images(2, 20);
      EXPECT_EQ(images.is_contiguous(at::MemoryFormat::ChannelsLast), channels_last);
      EXPECT_EQ(images.scalar_type(), format.type);
      normalise(pixels, images);
      const at::Tensor doubles = images.to(at::kDouble).contiguous();
      const auto* value = doubles.const_data_ptr<double>();
      for (int64_t i = 0; i < doubles.numel(); ++i) {
        const int64_t image = i / 1200, channel = i / 400 % 3, pixel = i % 400;
        const uint8_t byte = bytes[(image * 400 + pixel) * 3 + channel];
        const double expected = normalised(byte, static_cast<int>(channel));
        ASSERT_NEAR(value[i], expected, format.relative * std::abs(expected) + 1e-300) << i;
      }
    }
  }
}

// The seed's recipe: values between levels and beyond them.
TEST(PixelNormaliser, TakesValuesThatAreNoLevels) {
  std::vector<float> values(2 * 6 * 6 * 3);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * 1.7F - 40;
  const at::Tensor pixels =
      view_of_pixels(reinterpret_cast<const uint8_t*>(values.data()), 2, 6, PixelElement::kFloat32);
  for (const Format& format : kFormats) {
    for (bool channels_last : {true, false}) {
      const PixelNormaliser normalise(kMean, kStd, at::kCPU, format.type, channels_last);
      at::Tensor images = normalise.make_images(2, 6);
      normalise(pixels, images);
      EXPECT_EQ(images.is_contiguous(at::MemoryFormat::ChannelsLast), channels_last);
      const at::Tensor doubles = images.to(at::kDouble).contiguous();
      const auto* value = doubles.const_data_ptr<double>();
      for (int64_t i = 0; i < doubles.numel(); ++i) {
        const int64_t image = i / 108, channel = i / 36 % 3, pixel = i % 36;
        const double from = values[(image * 36 + pixel) * 3 + channel];
        const double expected = (from / 255 - kMean[channel]) / kStd[channel];
        const double limit = format.type == at::kDouble ? 1e-12 : 4 * format.relative;
        ASSERT_NEAR(value[i], expected, limit * (1 + std::abs(expected))) << i;
      }
    }
  }
}

// What a GPU thread does with four pixels at once, to the same bits as one by one.
TEST(PixelNormaliser, FourPixelsAtOnceGiveTheSame) {
  constexpr int64_t kPlane = 36, kImages = 3, kPixels = kPlane * kImages;
  const std::vector<uint8_t> data = every_value(3 * kPixels + 64);
  const auto* bytes =
      reinterpret_cast<const uint8_t*>((reinterpret_cast<uintptr_t>(data.data()) + 31) / 32 * 32);
  std::vector<float> table(3 * kPixelValues);
  for (int i = 0; i < 3 * kPixelValues; ++i) {
    table[i] =
        static_cast<float>(normalised(static_cast<uint8_t>(i % kPixelValues), i / kPixelValues));
  }
  for (bool channels_last : {true, false}) {
    alignas(32) float one[3 * kPixels], four[3 * kPixels];
    for (int64_t p = 0; p < kPixels; ++p) {
      normalise_of_thread<1>(bytes, table.data(), p, kPlane, channels_last, one);
    }
    for (int64_t p = 0; p < kPixels; p += 4) {
      normalise_of_thread<4>(bytes, table.data(), p, kPlane, channels_last, four);
    }
    for (int64_t i = 0; i < 3 * kPixels; ++i) {
      ASSERT_EQ(one[i], four[i]);
      const int64_t image = i / (3 * kPlane), rest = i % (3 * kPlane);
      const int64_t channel = channels_last ? rest % 3 : rest / kPlane;
      const int64_t pixel = channels_last ? rest / 3 : rest % kPlane;
      const uint8_t byte = bytes[(image * kPlane + pixel) * 3 + channel];
      const double expected = normalised(byte, static_cast<int>(channel));
      ASSERT_NEAR(one[i], expected, 1e-6 * std::abs(expected));
    }
  }
}

}  // namespace
}  // namespace resnext
