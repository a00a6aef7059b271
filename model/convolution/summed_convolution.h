// A convolution with what the norms around it need (model/convolution/convolution_kernels.h).
//
// The same function and gradients as convolve(), of CPU or GPU, also under autocast. Differentiable
// once. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "model/convolution/convolution_kernels.h"
#include "model/norm/norm_tensors.h"

namespace resnext {

// `sums`: whether those of the output are wanted; undefined where the kernels decline. `before`,
// unless null: of the norm that made `input`, which nothing else reads; gets what its backward
// needs. Throws Error (70) when differentiated twice.
Summed convolve_summed(const at::Tensor& input, const at::Tensor& weight, ConvolutionShape shape,
                       std::shared_ptr<ConvolutionKernels> kernels, bool sums,
                       c10::intrusive_ptr<NormReader> before);

}  // namespace resnext
