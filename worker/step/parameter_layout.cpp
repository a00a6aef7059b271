// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/parameter_layout.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

namespace resnext {

at::Tensor part_of(const at::Tensor& flat, const at::Tensor& parameter, int64_t offset) {
  return flat.as_strided(parameter.sizes(), parameter.strides(), offset);
}

ParameterLayout::ParameterLayout(std::vector<at::Tensor> parameters, size_t slots,
                                 const GradientReducer& reducer)
    : reducer_(reducer),
      parameters_(std::move(parameters)),
      state_(slots, std::vector<at::Tensor>(parameters_.size())) {}

bool ParameterLayout::follow() {
  if (generation_ == reducer_.generation()) return false;
  const at::NoGradGuard no_grad;
  buckets_.clear();
  for (const GradientBucket& bucket : reducer_.buckets()) buckets_.push_back(take_on(bucket));
  generation_ = reducer_.generation();
  return true;
}

ParameterBucket ParameterLayout::take_on(const GradientBucket& bucket) {
  ParameterBucket taken{
      at::zeros_like(bucket.flat), bucket.flat, {}, bucket.members, bucket.offsets};
  for (size_t slot = 0; slot < state_.size(); ++slot) {
    taken.state.push_back(at::zeros_like(bucket.flat));
  }
  for (size_t i = 0; i < bucket.members.size(); ++i) {
    at::Tensor& parameter = parameters_[bucket.members[i]];
    for (size_t slot = 0; slot < state_.size(); ++slot) {
      at::Tensor& state = state_[slot][bucket.members[i]];
      const at::Tensor place = part_of(taken.state[slot], parameter, bucket.offsets[i]);
      if (state.defined()) place.copy_(state);
      state = place;
    }
    const at::Tensor weight = part_of(taken.weights, parameter, bucket.offsets[i]);
    weight.copy_(parameter);
    parameter.set_data(weight);
  }
  return taken;
}

}  // namespace resnext
