// The fused normalisation layers on the GPU, in both directions; a build without CUDA has none.
//
// As model/norm/fused_cpu.h, with activations of float16, bfloat16 or float32 and everything of a
// channel in float32 on the device. Queued on the current stream; never waits for the device.
// fused_device_cuda.cpp or fused_device_none.cpp, whichever CMake chose.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include "model/norm/norm_tensors.h"

namespace resnext::device {

// Of activations that are dense, channels-last and not on the CPU.
bool can_fuse_norm(const at::Tensor& x, const NormParameters& norm);

at::Tensor norm_statistics(const at::Tensor& x, const NormParameters& norm, bool training,
                           const at::Tensor& sums = {});

at::Tensor norm_forward(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm,
                        const at::Tensor& statistics, bool relu);

NormGradients norm_backward(const OutputGradients& gradients, const NormSaved& saved,
                            bool want_residual);

}  // namespace resnext::device
