// The fused normalisation layers on the CPU, in both directions.
//
// Tensors: activations and their gradients [N, C, H, W], dense channels-last, all of one dtype,
// float32 or float64; weight and bias [C] of that dtype; statistics [2, C] float64 (mean, inverse
// standard deviation). Work is divided into pieces that depend on the shape alone and put together
// in a fixed order: the same bits for any number of threads.
// Local. Not differentiable themselves: model/norm/fused_norm.h is.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include "model/norm/norm_tensors.h"

namespace resnext::cpu {

// Statistics of the batch, from sums of NormNeighbours where they are defined, or the running ones.
// Moves the running ones, if any, where `training`.
at::Tensor norm_statistics(const at::Tensor& x, const NormParameters& norm, bool training,
                           const at::Tensor& sums = {});

// relu((x - mean) / deviation * weight + bias + residual); residual may be undefined.
at::Tensor norm_forward(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm,
                        const at::Tensor& statistics, bool relu);

// The residual's gradient is made where `want_residual`.
NormGradients norm_backward(const OutputGradients& gradients, const NormSaved& saved,
                            bool want_residual);

}  // namespace resnext::cpu
