// Bias-free 2-D convolution, by the fastest way that LibTorch offers for the device and shape.
//
// input [N, C, H, W], weight [O, C/groups, k, k] -> [N, O, H', W'], all of one floating dtype;
// channels-last input gives channels-last output. Differentiable. Local.
// On the CPU a 1x1 convolution of channels-last activations is one matrix product: LibTorch's own
// choice for one thread and fewer than 16 images is im2col (ATen/native/Convolution.cpp,
// use_mkldnn), which is several times slower.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace resnext {

struct ConvolutionShape {
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t groups = 1;
};

at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight, ConvolutionShape shape);

}  // namespace resnext
