// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/layers.h"

#include <ATen/ops/batch_norm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "model/convolution/summed_convolution.h"
#include "model/norm/synced_norm.h"

namespace resnext {
namespace {

constexpr double kEps = 1e-5;
constexpr double kMomentum = 0.1;

}  // namespace

Convolution::Convolution(const PlannedLayer& layer, const at::Generator& generator)
    : weight(at::empty(layer.tensors()[0].shape)),
      shape{layer.stride, layer.padding(), layer.groups} {
  const auto fan_out = static_cast<double>(layer.kernel * layer.kernel * layer.out_channels);
  weight.normal_(0, std::sqrt(2.0 / fan_out), generator);
  if (layer.bias) bias = at::zeros({layer.out_channels});
}

at::Tensor Convolution::operator()(const at::Tensor& x) const {
  const at::Tensor y = convolve(x, weight, shape);
  return bias.defined() ? y.add(bias.view({1, -1, 1, 1})) : y;
}

Summed Convolution::summed(const at::Tensor& x, const std::shared_ptr<ConvolutionKernels>& kernels,
                           bool sums, const c10::intrusive_ptr<NormReader>& before) const {
  return convolve_summed(x, weight, shape, kernels, sums, before);
}

std::vector<at::Tensor*> Convolution::tensors() {
  if (bias.defined()) return {&weight, &bias};
  return {&weight};
}

BatchNorm::BatchNorm(const PlannedLayer& layer, bool fuse)
    : weight(at::ones({layer.out_channels})),
      bias(at::zeros({layer.out_channels})),
      running_mean(at::zeros({layer.out_channels})),
      running_var(at::ones({layer.out_channels})),
      num_batches_tracked(at::zeros({}, at::kLong)),
      fused(fuse) {
  if (layer.zero_gamma) weight.zero_();
}

// Undefined statistics are neither read nor moved.
NormParameters BatchNorm::parameters(Mode mode) const {
  if (mode == Mode::kRecompute) return {weight, bias, {}, {}, kMomentum, kEps};
  return {weight, bias, running_mean, running_var, kMomentum, kEps};
}

at::Tensor BatchNorm::normalised(const at::Tensor& x, Mode mode) const {
  const NormParameters norm = parameters(mode);
  const bool training = mode != Mode::kEvaluate;
  if (training && ranks != nullptr) return synced_norm(x, norm, *ranks);
  return at::batch_norm(x, weight, bias, norm.running_mean, norm.running_var, training, kMomentum,
                        kEps, /*cudnn_enabled=*/true);
}

Handles BatchNorm::run(const at::Tensor& x, const at::Tensor& residual, bool relu, Mode mode,
                       int readers, const NormNeighbours& beside) const {
  const NormParameters norm = parameters(mode);
  const bool training = mode != Mode::kEvaluate;
  const bool alone = !training || ranks == nullptr;
  if (fused && alone && can_fuse_norm(x, residual, norm)) {
    if (readers != 2)
      return Handles(readers, fused_norm(x, residual, norm, training, relu, beside));
    const auto pair = fused_norm_pair(x, residual, norm, training, relu, beside);
    return {pair[0], pair[1]};
  }
  at::Tensor y = normalised(x, mode);
  if (residual.defined()) y.add_(residual);
  if (relu) y.relu_();
  return Handles(readers, y);
}

Linear::Linear(const PlannedLayer& layer, const at::Generator& generator)
    : weight(at::empty({layer.out_channels, layer.in_channels})),
      bias(at::zeros({layer.out_channels})) {
  const double bound = 1 / std::sqrt(static_cast<double>(layer.in_channels));
  weight.uniform_(-bound, bound, generator);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return at::linear(x, weight, bias);
}

}  // namespace resnext
