// SPDX-License-Identifier: BSD-3-Clause
#include "worker/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/zeros_like.h>

#include "comm/common/error.h"

namespace resnext {

Optimizer::Optimizer(const OptimizerOptions& options, std::vector<at::Tensor> parameters,
                     std::vector<std::string> names)
    : options_(options) {
  groups_ = {{options.weight_decay, {}, {}},
             {options.decay_norms ? options.weight_decay : 0, {}, {}}};
  for (size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor momentum = at::zeros_like(parameters[i]).set_requires_grad(false);
    momenta_.emplace_back(names[i], momentum);
    // Norm scales, norm shifts and biases are the parameters of one dimension.
    Group& group = groups_[parameters[i].dim() > 1 ? 0 : 1];
    group.parameters.push_back(parameters[i]);
    group.momenta.push_back(momentum);
  }
  std::erase_if(groups_, [](const Group& group) { return group.parameters.empty(); });
}

void Optimizer::step(double lr) {
  at::NoGradGuard no_grad;
  for (Group& group : groups_) {
    std::vector<at::Tensor> gradients;
    gradients.reserve(group.parameters.size());
    for (const at::Tensor& p : group.parameters) gradients.push_back(p.grad());
    // Without momentum the operator wants no buffers.
    const at::TensorList momenta =
        options_.momentum > 0 ? at::TensorList(group.momenta) : at::TensorList();
    at::_fused_sgd_(group.parameters, gradients, momenta, group.weight_decay, options_.momentum, lr,
                    /*dampening=*/0, options_.nesterov,
                    /*maximize=*/false, /*is_first_step=*/false);
  }
}

StateDict Optimizer::state_dict() const {
  return momenta_;
}

void Optimizer::load(const StateDict& state, const std::string& source) {
  for (size_t i = 0; i < momenta_.size(); ++i) {
    auto& [name, momentum] = momenta_[i];
    if (i >= state.size() || state[i].first != name ||
        state[i].second.sizes() != momentum.sizes()) {
      throw CheckpointError(source, "has no momentum of the right shape for " + name,
                            "resume from a checkpoint of the same model");
    }
    momentum.copy_(state[i].second);
  }
}

}  // namespace resnext
