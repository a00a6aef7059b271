// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/convolution.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>

#include "model/convolution/pointwise_convolution.h"

namespace resnext {
namespace {

bool is_matrix_product(const at::Tensor& input, const at::Tensor& weight, ConvolutionShape shape) {
  return input.is_cpu() && weight.size(2) == 1 && weight.size(3) == 1 && shape.groups == 1 &&
         shape.padding == 0 && input.is_contiguous(at::MemoryFormat::ChannelsLast);
}

// And not to be computed in another type, as autocast may ask.
bool is_float(const at::Tensor& input, const at::Tensor& weight) {
  return input.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat &&
         !at::autocast::is_autocast_enabled(at::kCPU);
}

// Rows are pixels: [N, H, W, C] x [C, O].
at::Tensor multiply(const at::Tensor& input, const at::Tensor& weight, int64_t stride) {
  at::Tensor pixels = input.permute({0, 2, 3, 1});
  if (stride > 1) {
    pixels = pixels.slice(1, 0, std::nullopt, stride).slice(2, 0, std::nullopt, stride);
  }
  const at::Tensor matrix = weight.view({weight.size(0), weight.size(1)});
  return at::linear(pixels.contiguous(), matrix).permute({0, 3, 1, 2});
}

}  // namespace

at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight, ConvolutionShape shape) {
  if (is_matrix_product(input, weight, shape)) {
    return is_float(input, weight) ? convolve_pointwise(input, weight, shape.stride)
                                   : multiply(input, weight, shape.stride);
  }
  return at::conv2d(input, weight, {}, {shape.stride, shape.stride}, {shape.padding, shape.padding},
                    at::IntArrayRef({1, 1}), shape.groups);
}

}  // namespace resnext
