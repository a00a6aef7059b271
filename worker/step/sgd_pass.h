// PyTorch's fused SGD over lists of tensors that share a weight decay: one pass.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_sgd.h>

#include <vector>

#include "configs/run_config.h"

namespace resnext {

// g += weight_decay * w; m = momentum * m + g; w -= lr * (nesterov ? g + momentum * m : m)
// (Sutskever et al. 2013 as torch.optim.SGD writes it; dampening 0, the seed's optim.sgd).
// `lr`: double, or a float32 tensor [] on a GPU. Where `skip` is 1, nothing changes. Local.
template <class Rate>
void sgd_pass(at::TensorList weights, at::TensorList gradients, at::TensorList momenta,
              const OptimizerOptions& options, double weight_decay, const Rate& lr,
              const at::Tensor& skip) {
  // Without momentum the operator wants no buffers.
  at::_fused_sgd_(weights, gradients, options.momentum > 0 ? momenta : at::TensorList(),
                  weight_decay, options.momentum, lr, /*dampening=*/0, options.nesterov,
                  /*maximize=*/false, /*is_first_step=*/false, /*grad_scale=*/{}, skip);
}

}  // namespace resnext
