// 1x1 convolution of float32 activations on the CPU, in both directions, as oneDNN does it best.
//
// input [N, C, H, W] dense channels-last, weight [O, C, 1, 1] -> [N, O, ceil(H / stride), ...],
// channels-last. The output and the input's gradient are made by oneDNN, which is 10 to 30 % faster
// here than the matrix product of LibTorch's BLAS, once all pixels of a batch are given to it as
// one row of an image; the weight's gradient is a matrix product. LibTorch itself takes neither
// (ATen/native/Convolution.cpp, use_mkldnn). Differentiable once. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace resnext {

at::Tensor convolve_pointwise(const at::Tensor& input, const at::Tensor& weight, int64_t stride);

}  // namespace resnext
