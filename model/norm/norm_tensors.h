// What the fused normalisation layers are given, keep for backward and give back.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include "model/norm/fused_math.h"

namespace resnext {

// Tensors [C]; running_var is the unbiased variance. In training the running statistics may be
// undefined: then none are moved.
struct NormParameters {
  at::Tensor weight, bias, running_mean, running_var;
  double momentum = 0.1;
  double eps = 1e-5;
};

// What backward needs of forward: the output only where something was added before the ReLU;
// elsewhere where the ReLU was zero is worked out from x.
struct NormSaved {
  at::Tensor x, output, weight, bias, statistics;
  bool training = false;
  bool relu = false;

  Rectifier rectifier() const {
    if (!relu) return Rectifier::kNone;
    return output.defined() ? Rectifier::kOfOutput : Rectifier::kOfInput;
  }
};

struct NormGradients {
  at::Tensor input, residual, weight, bias;
};

// Of the output: one, or those of two readers (`other`), which are to be added. `sums` [2, C], of
// statistics' type: those over rows of g and of g * (x - mean), with g the gradient behind the
// ReLU, where the only reader has taken them; else undefined.
struct OutputGradients {
  at::Tensor gradient, other, sums;
};

// What passes between a norm with its ReLU and the convolution that alone reads its output: forward
// leaves what backward's sums are about, backward the gradient behind the ReLU with its sums.
struct NormReader : torch::CustomClassHolder {
  NormSaved norm;
  at::Tensor gradient, sums;
};

// What convolutions on both sides do for a norm; by default nothing.
struct NormNeighbours {
  at::Tensor sums;  // [2, C] of statistics' type: over rows of x and of its square
  c10::intrusive_ptr<NormReader> reader{};
};

}  // namespace resnext
