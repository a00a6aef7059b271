// The optimizer: SGD, LARS, LAMB or AdamW (update_rule.h) over the reducer's buckets, with clipping
// of the gradients' norm.
//
// Which parameters decay: all, or, where optimizer.decay_norms is false, those of more than one
// dimension and, with optimizer.decay_biases, the biases of their layers. On a GPU nothing waits
// for the device, and the rate is read there, so a captured step() follows it. Local: ranks stay
// equal because their gradients are.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "comm/gradient_reducer.h"
#include "configs/run_config.h"
#include "model/weights/state_dict.h"
#include "worker/step/parameter_layout.h"
#include "worker/step/update_rule.h"

namespace resnext {

class Optimizer {
 public:
  // `parameters`: those of `reducer`, in its order; they become views of the optimizer's memory
  // (handles stay valid). Its state starts at zero. `reducer` must outlive this.
  Optimizer(const OptimizerOptions& options, std::vector<at::Tensor> parameters,
            std::vector<std::string> names, const GradientReducer& reducer);

  // The rate of the steps from now on.
  void set_lr(double lr);
  // With optimizer.clip_norm: scales the gradients (summed over ranks) such that their Euclidean
  // norm is at most that, as torch.nn.utils.clip_grad_norm_ does, or exactly for LAMB, as timm's
  // does; sets `skip` to 1 when it is not finite. The norm before, float64 [] on the device; 0
  // without clip_norm.
  const at::Tensor& clip(at::Tensor& skip);
  // `skip` (float32 [] on the parameters' device): where it is 1, nothing changes. The gradients
  // mean nothing afterwards.
  void step(const at::Tensor& skip);

  // Handles: they share memory. SGD's momentum has the parameters' names; other kinds' state
  // "KIND.SLOT.PARAMETER", and "KIND.steps" where the formula counts updates.
  StateDict state_dict() const;
  // Copies it in. Throws ConfigError when another kind saved it, CheckpointError naming the tensor
  // that does not fit.
  void load(const StateDict& state, const std::string& source);

 private:
  void follow();
  std::string prefix() const;

  OptimizerOptions options_;
  std::unique_ptr<UpdateRule> rule_;
  std::vector<std::string> names_;
  std::vector<bool> decays_;  // by parameter
  ParameterLayout layout_;
  UpdateInputs inputs_;
  at::Tensor norm_;  // float64 []
};

}  // namespace resnext
