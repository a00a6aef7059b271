// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/loss_scaler.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

namespace resnext {
namespace {

constexpr double kGrowth = 2;
constexpr double kBackoff = 0.5;
constexpr int64_t kGrowthInterval = 2000;

}  // namespace

LossScaler::LossScaler(bool enabled, at::Device device)
    : enabled_(enabled),
      scale_(at::full({}, enabled ? kFirstScale : 1,
                      at::TensorOptions().dtype(at::kFloat).device(device))),
      clean_steps_(at::zeros({}, at::TensorOptions().dtype(at::kInt).device(device))) {}

at::Tensor LossScaler::scaled(const at::Tensor& loss) const {
  return enabled_ ? loss.mul(scale_) : loss;
}

void LossScaler::unscale(const std::vector<at::Tensor>& gradients, at::Tensor& skip) const {
  if (!enabled_) return;
  const at::NoGradGuard no_grad;
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, skip, scale_.reciprocal());
}

void LossScaler::update(const at::Tensor& skip) {
  if (!enabled_) return;
  const at::NoGradGuard no_grad;
  at::_amp_update_scale_(scale_, clean_steps_, skip, kGrowth, kBackoff, kGrowthInterval);
}

int64_t LossScaler::clean_steps() const {
  return clean_steps_.item<int>();
}

void LossScaler::restore(double scale, int64_t clean_steps) {
  if (!enabled_ || scale <= 0) return;
  scale_.fill_(scale);
  clean_steps_.fill_(clean_steps);
}

}  // namespace resnext
