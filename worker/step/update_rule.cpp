// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/update_rule.h"

namespace resnext {

std::string name_of(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kLars:
      return "lars";
    case OptimizerKind::kLamb:
      return "lamb";
    case OptimizerKind::kAdamw:
      return "adamw";
    default:
      return "sgd";
  }
}

std::unique_ptr<UpdateRule> make_update_rule(const OptimizerOptions& options,
                                             const at::TensorOptions& tensors) {
  const bool loops = tensors.device().is_cpu() && tensors.dtype() == at::kFloat;
  switch (options.kind) {
    case OptimizerKind::kLars:
      return loops ? make_loop_lars(options) : make_lars(options);
    case OptimizerKind::kLamb:
      return loops ? make_loop_lamb(options) : make_lamb(options);
    case OptimizerKind::kAdamw:
      return make_adamw(options);
    default:
      return make_sgd(options);
  }
}

double eps_of(const OptimizerOptions& options) {
  if (options.eps > 0) return options.eps;
  switch (options.kind) {
    case OptimizerKind::kLars:
      return 1e-7;  // what MLPerf's program makes of 0: the Keras backend's epsilon
    case OptimizerKind::kLamb:
      return 1e-6;
    default:
      return 1e-8;
  }
}

}  // namespace resnext
