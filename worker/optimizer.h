// SGD with momentum and Nesterov's variant, one fused pass over all parameters.
//
// g += weight_decay * w; m = momentum * m + g; w -= lr * (nesterov ? g + momentum * m : m)
// (Sutskever et al. 2013 as torch.optim.SGD writes it; dampening 0, the seed's optim.sgd).
// Local: ranks stay equal because their gradients are.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "configs/run_config.h"
#include "model/weights.h"

namespace resnext {

class Optimizer {
 public:
  // Parameters with a gradient already set (the reducer's views); momentum starts at zero.
  Optimizer(const OptimizerOptions& options, std::vector<at::Tensor> parameters,
            std::vector<std::string> names);

  void step(double lr);

  // Momentum, by parameter name. Handles: they share memory.
  StateDict state_dict() const;
  // Copies momentum in. Throws CheckpointError naming the tensor that does not fit.
  void load(const StateDict& state, const std::string& source);

 private:
  // Parameters that share a weight decay.
  struct Group {
    double weight_decay = 0;
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> momenta;
  };

  OptimizerOptions options_;
  std::vector<Group> groups_;
  std::vector<std::pair<std::string, at::Tensor>> momenta_;  // in parameter order
};

}  // namespace resnext
