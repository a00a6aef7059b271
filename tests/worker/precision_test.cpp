// SPDX-License-Identifier: BSD-3-Clause
#include "worker/precision.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr std::array<double, 3> kMean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> kStd = {0.229, 0.224, 0.225};

PrecisionOptions compute(Compute compute) {
  PrecisionOptions options;
  options.compute = compute;
  return options;
}

TEST(Precision, NormalisesEachPixel) {
  std::vector<uint8_t> pixels(2 * 4 * 4 * 3);
  std::iota(pixels.begin(), pixels.end(), 0);
  const std::vector<int64_t> labels = {3, 1};
  const Batch batch = {pixels.data(), labels.data(), 2, 4};
  for (auto [kind, tolerance] : {std::pair{Compute::kFp32, 1e-6}, {Compute::kFp64, 1e-15}}) {
    const Precision precision(compute(kind), at::kCPU, kMean, kStd);
    const at::Tensor images = precision.images(batch);
    ASSERT_EQ(images.sizes(), (at::IntArrayRef{2, 3, 4, 4}));
    EXPECT_TRUE(images.is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_EQ(images.scalar_type(), precision.parameter_type());
    for (int n = 0; n < 2; ++n) {
      for (int c = 0; c < 3; ++c) {
        for (int p = 0; p < 16; ++p) {
          const double pixel = pixels[n * 48 + p * 3 + c];
          ASSERT_NEAR(images[n][c][p / 4][p % 4].item<double>(), (pixel / 255 - kMean[c]) / kStd[c],
                      tolerance);
        }
      }
    }
    EXPECT_EQ(precision.labels(batch)[0].item<int64_t>(), 3);
  }
}

TEST(Precision, TheReducedTypeLastsAsLongAsItsScope) {
  const Precision precision(compute(Compute::kBf16), at::kCPU, kMean, kStd);
  EXPECT_EQ(precision.parameter_type(), at::kFloat);
  const at::Tensor x = at::ones({2, 3}), w = at::ones({4, 3});
  {
    const Precision::Scope scope(precision);
    EXPECT_EQ(at::linear(x, w).scalar_type(), at::kBFloat16);
  }
  EXPECT_EQ(at::linear(x, w).scalar_type(), at::kFloat);
}

TEST(Precision, RefusesWhatTheDeviceLacks) {
  EXPECT_THROW(Precision(compute(Compute::kFp16), at::kCPU, kMean, kStd), ConfigError);
}

}  // namespace
}  // namespace resnext
