// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

// Norm scales, norm shifts and biases are the parameters of one dimension.
bool is_norm_or_bias(const at::Tensor& parameter) {
  return parameter.dim() <= 1;
}

at::Tensor part_of(const at::Tensor& flat, const at::Tensor& like, int64_t offset) {
  return flat.as_strided(like.sizes(), like.strides(), offset);
}

}  // namespace

Optimizer::Optimizer(const OptimizerOptions& options, std::vector<at::Tensor> parameters,
                     std::vector<std::string> names, const GradientReducer& reducer)
    : options_(options), reducer_(reducer), parameters_(std::move(parameters)) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    momenta_.emplace_back(names[i], at::Tensor());  // zero, until lay_out() gives it memory
  }
  decayed_.weight_decay = options.weight_decay;
  const at::Tensor& first = parameters_.front();
  if (first.is_cuda() && first.scalar_type() == at::kFloat) {
    device_lr_ = at::empty({}, first.options().requires_grad(false));
  }
  lay_out();
}

// The buckets change once, after the first step of a run that has no checkpoint.
void Optimizer::lay_out() {
  const at::NoGradGuard no_grad;
  for (Group* group : {&decayed_, &undecayed_}) {
    group->parameters.clear();
    group->momenta.clear();
    group->gradients.clear();
  }
  for (const GradientBucket& bucket : reducer_.buckets()) follow_bucket(bucket);
  generation_ = reducer_.generation();
}

void Optimizer::follow_bucket(const GradientBucket& bucket) {
  const at::Tensor weights = at::zeros_like(bucket.flat), momenta = at::zeros_like(bucket.flat);
  for (size_t i = 0; i < bucket.members.size(); ++i) {
    at::Tensor& parameter = parameters_[bucket.members[i]];
    at::Tensor& momentum = momenta_[bucket.members[i]].second;
    const at::Tensor weight = part_of(weights, parameter, bucket.offsets[i]);
    const at::Tensor moved = part_of(momenta, parameter, bucket.offsets[i]);
    weight.copy_(parameter);
    if (momentum.defined()) moved.copy_(momentum);
    parameter.set_data(weight);
    momentum = moved;
    if (options_.decay_norms) continue;
    Group& group = is_norm_or_bias(parameter) ? undecayed_ : decayed_;
    group.parameters.push_back(weight);
    group.momenta.push_back(moved);
    group.gradients.push_back(part_of(bucket.flat, parameter, bucket.offsets[i]));
  }
  if (!options_.decay_norms) return;
  decayed_.parameters.push_back(weights);
  decayed_.momenta.push_back(momenta);
  decayed_.gradients.push_back(bucket.flat);
}

void Optimizer::set_lr(double lr) {
  lr_ = lr;
  if (device_lr_.defined()) device_lr_.fill_(lr);
}

void Optimizer::step(const at::Tensor& skip) {
  const at::NoGradGuard no_grad;
  if (generation_ != reducer_.generation()) lay_out();
  update(decayed_, skip);
  update(undecayed_, skip);
}

void Optimizer::update(Group& group, const at::Tensor& skip) const {
  if (group.parameters.empty()) return;
  // Without momentum the operator wants no buffers.
  const at::TensorList momenta =
      options_.momentum > 0 ? at::TensorList(group.momenta) : at::TensorList();
  const auto run = [&](const auto& lr) {
    at::_fused_sgd_(group.parameters, group.gradients, momenta, group.weight_decay,
                    options_.momentum, lr, /*dampening=*/0, options_.nesterov, /*maximize=*/false,
                    /*is_first_step=*/false, /*grad_scale=*/{}, skip);
  };
  if (device_lr_.defined()) {
    run(device_lr_);
  } else {
    run(lr_);
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
