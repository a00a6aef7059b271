// Pixels to the network's input: normalised, in its layout and number type; of levels in one pass.
//
// (pixel / 255 - mean) / std for each channel (RGB), worked out in float64 and rounded once to
// float32 (float64 stays), then to the type asked for. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "data/loader/batch.h"

namespace resnext {

// A tensor over `squares` squares' pixels, which are only read: uint8 or float32 [N, H, W, 3].
at::Tensor view_of_pixels(const uint8_t* pixels, int64_t squares, int64_t size,
                          PixelElement element);

class PixelNormaliser {
 public:
  // `type`: float16, bfloat16, float32 or float64.
  PixelNormaliser(std::array<double, 3> mean, std::array<double, 3> std, at::Device device,
                  at::ScalarType type, bool channels_last);

  // Room for `count` images of `size` x `size` pixels: [count, 3, size, size] on the device.
  at::Tensor make_images(int64_t count, int64_t size) const;
  // pixels: uint8 or float32 [N, H, W, 3], contiguous, on the device; images: of make_images(). On
  // a GPU, work of the current stream.
  void operator()(const at::Tensor& pixels, at::Tensor& images) const;

 private:
  at::Tensor table_;       // [3, 256] on the device
  at::Tensor mean_, std_;  // [3] on the device, of the table's type
  at::Device device_;
  at::ScalarType type_;
  bool channels_last_;
};

}  // namespace resnext
