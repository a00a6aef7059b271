// Pixels that a GPU normalises have the bits of those of the CPU.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "tests/gpu/gpu_test.h"
#include "worker/input/pixels.h"

namespace resnext {
namespace {

class PixelsGpu : public test::GpuTest {};

constexpr std::array<double, 3> kMean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> kStd = {0.229, 0.224, 0.225};

at::Tensor every_value(int64_t count, int64_t height, int64_t width) {
  at::Tensor pixels = at::empty({count, height, width, 3}, at::kByte);
  auto* bytes = pixels.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < pixels.numel(); ++i) bytes[i] = static_cast<uint8_t>(i * 37 + i / 256);
  return pixels;
}

at::Tensor bits(const at::Tensor& images) {
  switch (images.element_size()) {
    case 2:
      return images.cpu().view(at::kShort);
    case 4:
      return images.cpu().view(at::kInt);
    default:
      return images.cpu().view(at::kLong);
  }
}

at::Tensor normalised(const at::Tensor& pixels, at::ScalarType type, bool channels_last) {
  const PixelNormaliser normalise(kMean, kStd, pixels.device(), type, channels_last);
  at::Tensor images = normalise.make_images(pixels.size(0), pixels.size(1));
  normalise(pixels, images);
  return images;
}

void expect_equal(const at::Tensor& pixels, const at::Tensor& on_gpu) {
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16, at::kFloat, at::kDouble}) {
    for (const bool channels_last : {true, false}) {
      const at::Tensor theirs = normalised(pixels, type, channels_last);
      const at::Tensor ours = normalised(on_gpu, type, channels_last);
      EXPECT_EQ(ours.strides(), theirs.strides());
      EXPECT_TRUE(bits(ours).equal(bits(theirs)))
          << type << (channels_last ? " channels-last " : " contiguous ") << pixels.sizes();
    }
  }
}

// Planes of 1, 49 and 225 pixels go one by one; of 4, 400 and 50176 by four.
TEST_F(PixelsGpu, HaveTheBitsOfTheCpus) {
  for (const int64_t side : {1, 2, 7, 15, 20, 224}) {
    const at::Tensor pixels = every_value(5, side, side);
    expect_equal(pixels, pixels.to(gpu()));
  }
}

// 1200 bytes an image: the second one starts at an address that no wide load takes.
TEST_F(PixelsGpu, MayStartAnywhere) {
  const at::Tensor pixels = every_value(3, 20, 20);
  expect_equal(pixels.narrow(0, 1, 2), pixels.to(gpu()).narrow(0, 1, 2));
}

TEST_F(PixelsGpu, OfNoImagesAreNone) {
  const at::Tensor none =
      at::empty({0, 8, 8, 3}, at::TensorOptions().dtype(at::kByte).device(gpu()));
  EXPECT_EQ(normalised(none, at::kHalf, true).numel(), 0);
}

}  // namespace
}  // namespace resnext
