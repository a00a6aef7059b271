// A part of the network that keeps nothing but its input for backward, and runs again there.
//
// Memory for time: the part's activations exist once forward is over only while backward is inside
// the part, which costs a second forward pass of it (activation checkpointing: Chen et al. 2016,
// arXiv 1604.06174). Same values and gradients as without. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "model/network/layers.h"

namespace resnext {

// x -> output, a new tensor. Called with Mode::kTrain by forward and with Mode::kRecompute, on
// backward's thread, for the second run; what it refers to must live until then. It draws no random
// numbers and changes nothing but running statistics.
using Stage = std::function<at::Tensor(const at::Tensor& x, Mode mode)>;

// stage(x, Mode::kTrain). Backward runs the stage again in the state of autocast that forward had,
// and differentiates that run: the gradients of its parameters are added to their .grad as it
// reaches them (also under torch::autograd::grad), so hooks behind accumulation fire once each.
// Without gradients, or when `x` needs none, the stage runs as it is. Throws Error (70) when
// differentiated twice.
at::Tensor recompute(const Stage& stage, const at::Tensor& x);

}  // namespace resnext
