// How an optimizer changes weights: one formula behind one seam.
//
// SGD and AdamW are PyTorch's fused operators: one pass over all buckets. LARS and LAMB scale each
// parameter's change by norms of the parameter: for float32 on the CPU in loops of our own, two
// passes; elsewhere in PyTorch's operators, where norms stay on the device. The rate is read there
// where one is given, and nothing waits for the host, so that an update can be captured in a graph.
// Local; belongs to the training thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "worker/step/parameter_layout.h"

namespace resnext {

// What an update needs besides weights and gradients.
struct UpdateInputs {
  double lr;                   // counts where device_lr is undefined
  at::Tensor device_lr;        // float32 []
  at::Tensor skip;             // float32 []: where it is 1, nothing changes
  at::Tensor steps;            // float32 []: updates with this one, without those that were skipped
  double gradient_factor = 1;  // that clipping has left to a rule that scales_gradients()
};

class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  // Names of the state that it keeps of each weight.
  virtual std::vector<std::string> slots() const = 0;
  // The formula depends on the number of updates.
  virtual bool counts_steps() const = 0;
  // update() multiplies the gradients with inputs.gradient_factor as it goes; else the caller does.
  virtual bool scales_gradients() const { return false; }
  // The buckets are other ones. `decays`: by parameter, whether weight decay (and, in LARS and
  // LAMB, the scaling by norms) is for it.
  virtual void follow(const ParameterLayout& layout, const std::vector<bool>& decays) = 0;
  // Changes weights and state; gradients mean nothing afterwards.
  virtual void update(const UpdateInputs& inputs) = 0;

 protected:
  UpdateRule() = default;
  UpdateRule(const UpdateRule&) = delete;
  UpdateRule& operator=(const UpdateRule&) = delete;
};

// "sgd", "lars", ...: as the configuration spells it.
std::string name_of(OptimizerKind kind);

// `tensors`: device and type of the parameters.
std::unique_ptr<UpdateRule> make_update_rule(const OptimizerOptions& options,
                                             const at::TensorOptions& tensors);

// Each formula by itself; loop: for float32 on the CPU.
std::unique_ptr<UpdateRule> make_sgd(const OptimizerOptions& options);
std::unique_ptr<UpdateRule> make_adamw(const OptimizerOptions& options);
std::unique_ptr<UpdateRule> make_lars(const OptimizerOptions& options);
std::unique_ptr<UpdateRule> make_lamb(const OptimizerOptions& options);
std::unique_ptr<UpdateRule> make_loop_lars(const OptimizerOptions& options);
std::unique_ptr<UpdateRule> make_loop_lamb(const OptimizerOptions& options);

// optimizer.eps, or the kind's own where that is 0: 1e-7 (LARS), 1e-6 (LAMB), 1e-8 (AdamW).
double eps_of(const OptimizerOptions& options);

}  // namespace resnext
