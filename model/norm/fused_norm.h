// Batch normalisation together with the addition and the ReLU behind it, as one operation.
//
// relu(norm(x) + residual), the addition and the ReLU as asked: the same function, gradients and
// running statistics as at::batch_norm, add and relu, with fewer passes over memory. A network is
// bound by memory traffic there: the training forward reads x twice and writes once, backward reads
// gradient and x twice (with an addition the output too) and writes once. CPU: float32, float64.
// CUDA: float16, bfloat16, float32 with float32 parameters. Differentiable once. Same bits from run
// to run and for any number of threads. Local. Sources: Ioffe and Szegedy 2015 (arXiv 1502.03167);
// formulas in model/norm/fused_math.h.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "model/norm/norm_tensors.h"

namespace resnext {

// Whether fused_norm() has a kernel: dense channels-last activations [N, C, H, W] that are not
// empty, of a dtype named above. `residual` may be undefined.
bool can_fuse_norm(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm);

// `residual` (of x's shape and layout) may be undefined. `training`: with the batch's statistics,
// moving the running ones, if any. Sums that `beside` brings spare a pass over x in forward, and
// one over x and the gradient in backward. Throws Error (70) when differentiated twice.
at::Tensor fused_norm(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm,
                      bool training, bool relu, const NormNeighbours& beside = {});

// The output twice, for two readers (neither may change it in place): backward adds their gradients
// as it reads them, where autograd would write their sum to memory first.
std::array<at::Tensor, 2> fused_norm_pair(const at::Tensor& x, const at::Tensor& residual,
                                          const NormParameters& norm, bool training, bool relu,
                                          const NormNeighbours& beside = {});

}  // namespace resnext
