// SGD with momentum and Nesterov's variant, one fused pass over all parameters.
//
// g += weight_decay * w; m = momentum * m + g; w -= lr * (nesterov ? g + momentum * m : m)
// (Sutskever et al. 2013 as torch.optim.SGD writes it; dampening 0, the seed's optim.sgd).
// Parameters and momenta are laid out as the reducer's buckets, so that the pass goes over a few
// long tensors. Local: ranks stay equal because their gradients are.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "comm/gradient_reducer.h"
#include "configs/run_config.h"
#include "model/weights/state_dict.h"

namespace resnext {

class Optimizer {
 public:
  // `parameters`: those of `reducer`, in its order; they become views of the optimizer's memory
  // (handles stay valid). Momentum starts at zero. `reducer` must outlive this.
  Optimizer(const OptimizerOptions& options, std::vector<at::Tensor> parameters,
            std::vector<std::string> names, const GradientReducer& reducer);

  // The rate of the steps from now on; on a GPU it is read there, so a captured step() follows it.
  void set_lr(double lr);
  // `skip` (float32 [] on the parameters' device): where it is 1, nothing changes.
  void step(const at::Tensor& skip);

  // Momentum, by parameter name. Handles: they share memory.
  StateDict state_dict() const;
  // Copies momentum in. Throws CheckpointError naming the tensor that does not fit.
  void load(const StateDict& state, const std::string& source);

 private:
  // Tensors that share a weight decay, element by element in the same places.
  struct Group {
    double weight_decay = 0;
    std::vector<at::Tensor> parameters, momenta, gradients;
  };

  void lay_out();
  void follow_bucket(const GradientBucket& bucket);
  void update(Group& group, const at::Tensor& skip) const;

  OptimizerOptions options_;
  const GradientReducer& reducer_;
  int64_t generation_ = -1;  // of the buckets that are followed
  std::vector<at::Tensor> parameters_;
  std::vector<std::pair<std::string, at::Tensor>> momenta_;  // in parameter order
  Group decayed_, undecayed_;
  double lr_ = 0;
  at::Tensor device_lr_;  // float32 [] on a GPU, unless parameters are float64
};

}  // namespace resnext
