// What the fused normalisation layers are given, keep for backward and give back.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

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

// Of the output: one, or those of two readers (`other`), which are to be added.
struct OutputGradients {
  at::Tensor gradient, other;
};

}  // namespace resnext
