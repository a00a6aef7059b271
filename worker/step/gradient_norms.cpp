// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/gradient_norms.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

namespace resnext {
namespace {

// "layer2.0.conv1.weight" -> "layer2".
std::string stage_of(const std::string& name) {
  if (name.starts_with("layer")) return name.substr(0, name.find('.'));
  return name.starts_with("fc.") ? "classifier" : "stem";
}

}  // namespace

GradientNorms::GradientNorms(std::vector<at::Tensor> parameters,
                             const std::vector<std::string>& names, bool always)
    : parameters_(std::move(parameters)), always_(always) {
  for (const std::string& name : names) stages_.push_back(stage_of(name));
  norms_ = at::zeros({static_cast<int64_t>(parameters_.size())},
                     parameters_.front().options().requires_grad(false));
}

void GradientNorms::measure() {
  if (!always_ && !wanted_) return;
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : parameters_) gradients.push_back(parameter.grad());
  norms_.copy_(at::stack(at::_foreach_norm(gradients)));
}

std::vector<NamedValues> GradientNorms::by_stage() const {
  const at::Tensor norms = norms_.to(at::kCPU, at::kDouble);
  std::vector<NamedValues> stages;
  for (size_t i = 0; i < stages_.size(); ++i) {
    if (stages.empty() || stages.back().name != stages_[i]) stages.push_back({stages_[i], {}});
    stages.back().values.push_back(norms.const_data_ptr<double>()[i]);
  }
  return stages;
}

}  // namespace resnext
