// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr OptimizerKind kKinds[] = {OptimizerKind::kLars, OptimizerKind::kLamb,
                                    OptimizerKind::kAdamw};

// A layer's bias is that of a layer whose weight has more than one dimension.
std::vector<bool> which_decay(const OptimizerOptions& options,
                              const std::vector<at::Tensor>& parameters,
                              const std::vector<std::string>& names) {
  const auto is_bias = [&](const std::string& name) {
    if (!name.ends_with(".bias")) return false;
    const auto weight = std::ranges::find(names, name.substr(0, name.size() - 4) + "weight");
    return weight != names.end() && parameters[weight - names.begin()].dim() > 1;
  };
  std::vector<bool> which;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto dimensions = static_cast<size_t>(parameters[i].dim());
    which.push_back(decays(options, dimensions, is_bias(names[i])));
  }
  return which;
}

// Of the optimizer that saved the state.
OptimizerKind kind_of(const StateDict& state) {
  for (const OptimizerKind kind : kKinds) {
    if (!state.empty() && state.front().first.starts_with(name_of(kind) + ".")) return kind;
  }
  return OptimizerKind::kSgd;
}

}  // namespace

Optimizer::Optimizer(const OptimizerOptions& options, std::vector<at::Tensor> parameters,
                     std::vector<std::string> names, const GradientReducer& reducer)
    : options_(options),
      rule_(make_update_rule(options, parameters.front().options())),
      names_(std::move(names)),
      decays_(which_decay(options, parameters, names_)),
      layout_(std::move(parameters), rule_->slots().size(), reducer) {
  const at::Tensor& first = layout_.parameters().front();
  const auto scalars = at::TensorOptions().device(first.device());
  if (first.is_cuda() && first.scalar_type() == at::kFloat) {
    inputs_.device_lr = at::empty({}, scalars.dtype(at::kFloat));
  }
  if (rule_->counts_steps()) inputs_.steps = at::zeros({}, scalars.dtype(at::kFloat));
  norm_ = at::zeros({}, scalars.dtype(at::kDouble));
  follow();
}

void Optimizer::follow() {
  if (layout_.follow()) rule_->follow(layout_, decays_);
}

void Optimizer::set_lr(double lr) {
  inputs_.lr = lr;
  if (inputs_.device_lr.defined()) inputs_.device_lr.fill_(lr);
}

const at::Tensor& Optimizer::clip(at::Tensor& skip) {
  if (options_.clip_norm == 0) return norm_;
  const at::NoGradGuard no_grad;
  follow();
  std::vector<at::Tensor> gradients;
  for (const ParameterBucket& bucket : layout_.buckets()) gradients.push_back(bucket.gradients);
  norm_.copy_(at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)).to(at::kDouble)));
  const double eps = options_.kind == OptimizerKind::kLamb ? 0 : 1e-6;  // as PyTorch's
  const at::Tensor factor = norm_.add(eps).reciprocal_().mul_(options_.clip_norm).clamp_max_(1);
  if (rule_->scales_gradients()) {
    inputs_.gradient_factor = factor.item<double>();
  } else if (factor.is_cuda() || factor.item<double>() < 1) {
    at::_foreach_mul_(gradients, factor.to(gradients.front().scalar_type()));
  }
  skip.copy_(at::maximum(skip, at::isfinite(norm_).logical_not().to(skip.scalar_type())));
  return norm_;
}

void Optimizer::step(const at::Tensor& skip) {
  const at::NoGradGuard no_grad;
  follow();
  inputs_.skip = skip;
  if (inputs_.steps.defined()) inputs_.steps.add_(1).sub_(skip);
  rule_->update(inputs_);
}

std::string Optimizer::prefix() const {
  return options_.kind == OptimizerKind::kSgd ? "" : name_of(options_.kind) + ".";
}

StateDict Optimizer::state_dict() const {
  StateDict state;
  const std::vector<std::string> slots = rule_->slots();
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    const std::string before = prefix().empty() ? "" : prefix() + slots[slot] + ".";
    for (size_t i = 0; i < names_.size(); ++i) {
      state.emplace_back(before + names_[i], layout_.state(slot, i));
    }
  }
  if (inputs_.steps.defined()) state.emplace_back(prefix() + "steps", inputs_.steps);
  return state;
}

void Optimizer::load(const StateDict& state, const std::string& source) {
  if (const OptimizerKind saved = kind_of(state); !state.empty() && saved != options_.kind) {
    throw ConfigError("optimizer.kind",
                      fmt::format("is {}, but {} was saved by {}", name_of(options_.kind), source,
                                  name_of(saved)),
                      fmt::format("set optimizer.kind to {}, or start from the weights alone: "
                                  "model.pretrained, with another run.output",
                                  name_of(saved)));
  }
  const StateDict mine = state_dict();
  for (size_t i = 0; i < mine.size(); ++i) {
    const auto& [name, tensor] = mine[i];
    if (i >= state.size() || state[i].first != name || state[i].second.sizes() != tensor.sizes()) {
      throw CheckpointError(source, "has no optimizer state of the right shape for " + name,
                            "resume from a checkpoint of the same model");
    }
    tensor.copy_(state[i].second);
  }
}

}  // namespace resnext
