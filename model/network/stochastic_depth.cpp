// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/stochastic_depth.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace resnext {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): its increment and finalizer. Products wrap.
constexpr auto kIncrement = static_cast<int64_t>(0x9e3779b97f4a7c15);

// x ^ (x >> bits), the bits that come in being 0.
at::Tensor folded(const at::Tensor& x, int64_t bits) {
  const int64_t mask = (int64_t{1} << (64 - bits)) - 1;
  return x.bitwise_xor(x.bitwise_right_shift(bits).bitwise_and(mask));
}

at::Tensor finalized(const at::Tensor& x) {
  const at::Tensor y = folded(x, 30).mul(static_cast<int64_t>(0xbf58476d1ce4e5b9));
  return folded(folded(y, 27).mul(static_cast<int64_t>(0x94d049bb133111eb)), 31);
}

}  // namespace

StochasticDepth::StochasticDepth(const NetworkPlan& plan, at::Device device) {
  std::vector<double> kept;
  std::vector<int64_t> limits;
  for (const PlannedLayer& layer : plan.layers) {
    if (layer.kind != LayerKind::kAddition) continue;
    enabled_ = enabled_ || layer.drop_rate > 0;
    limits.push_back(static_cast<int64_t>(std::ldexp(layer.drop_rate, 53)));
    kept.push_back(1 / (1 - layer.drop_rate));
  }
  if (!enabled_) return;
  limits_ = at::tensor(limits, at::kLong).unsqueeze(1);
  kept_ = at::tensor(kept, at::kDouble).unsqueeze(1);
  blocks_ = at::arange(limits_.size(0), at::kLong).unsqueeze(1);
  key_ = at::zeros({}, at::kLong);
  first_ = at::zeros({}, at::kLong);
  to(device);
}

void StochasticDepth::to(at::Device device) {
  if (!enabled_) return;
  for (at::Tensor* tensor : {&limits_, &kept_, &blocks_, &key_, &first_}) {
    *tensor = tensor->to(device);
  }
}

void StochasticDepth::use(uint64_t key, int64_t first) {
  key_.fill_(static_cast<int64_t>(key));
  first_.fill_(first);
}

at::Tensor StochasticDepth::scales(int64_t images) const {
  const at::Tensor numbers = at::arange(images, first_.options()).add_(first_);
  const at::Tensor place = numbers.mul(blocks_.size(0)).add(blocks_).add_(1);
  const at::Tensor uniform = finalized(place.mul_(kIncrement).add_(key_));
  const int64_t mask = (int64_t{1} << 53) - 1;
  const at::Tensor dropped = uniform.bitwise_right_shift(11).bitwise_and(mask).lt(limits_);
  return at::where(dropped, 0.0, kept_);
}

}  // namespace resnext
