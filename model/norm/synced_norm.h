// Batch normalisation with the statistics of several ranks' images, in both directions: the same
// function, gradients and running statistics as of one rank that has all of them.
//
// Forward gathers each rank's mean and squared deviations, which are merged as in fused_math.h;
// backward sums two numbers a channel over the ranks. The gradients of weight and bias are those of
// this rank's images alone: who sums gradients over ranks sums them too. CPU and CUDA, any layout;
// arithmetic in float32, in float64 for float64. Differentiable once. COLLECTIVE among `ranks`.
// Ioffe and Szegedy 2015 (arXiv 1502.03167), section 3.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include "model/norm/norm_ranks.h"
#include "model/norm/norm_tensors.h"

namespace resnext {

// x [N, C, H, W] -> the same, of x's type. Moves the running statistics, if there are any. `ranks`
// must outlive backward. Throws Error (70) when differentiated twice.
at::Tensor synced_norm(const at::Tensor& x, const NormParameters& norm, NormRanks& ranks);

}  // namespace resnext
