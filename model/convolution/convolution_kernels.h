// Kernels that take the sums of batch normalisation on a convolution's way: in forward those of its
// output, for the norm behind it, in backward those of its input's gradient, for the norm with its
// ReLU before it. Each spares that norm a pass over memory (model/network/neighbours.h).
//
// Whoever implements this may decline any call; the convolution is then done without sums.
// Activations [N, C, H, W] dense channels-last, weight [O, C / groups, k, k], all of one type; sums
// [2, channels], float32 on a GPU, float64 on the CPU. Called in forward and in backward, on the
// threads that run them, never by two at a time. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

#include "model/convolution/convolution.h"
#include "model/norm/norm_tensors.h"

namespace resnext {

// An output with the sums over pixels of it and of its square; or a gradient with those of
// OutputGradients::sums.
struct Summed {
  at::Tensor values, sums;
};

class ConvolutionKernels {
 public:
  virtual ~ConvolutionKernels() = default;

  virtual std::optional<Summed> forward(const at::Tensor& input, const at::Tensor& weight,
                                        ConvolutionShape shape) = 0;
  // Of the input, which is relu(norm(before.x)): the gradient behind that ReLU. `gradient` is the
  // output's.
  virtual std::optional<Summed> input_gradient(const at::Tensor& gradient, const at::Tensor& weight,
                                               ConvolutionShape shape, const NormSaved& before) = 0;
};

// The device's, or null: a build without CUDA has none (cudnn_kernels.cpp, no_cudnn_kernels.cpp).
std::shared_ptr<ConvolutionKernels> device_convolution_kernels();

}  // namespace resnext
