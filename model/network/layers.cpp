// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/layers.h"

#include <ATen/ops/batch_norm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "model/norm/fused_norm.h"

namespace resnext {
namespace {

constexpr double kEps = 1e-5;
constexpr double kMomentum = 0.1;

}  // namespace

Convolution::Convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups,
                         const at::Generator& generator)
    : weight(at::empty({out, in / groups, kernel, kernel})), shape{stride, kernel / 2, groups} {
  weight.normal_(0, std::sqrt(2.0 / static_cast<double>(kernel * kernel * out)), generator);
}

void Convolution::visit(const std::string& name, const TensorVisitor& visitor) {
  visitor(name + ".weight", weight, true);
}

BatchNorm::BatchNorm(int64_t channels, bool fuse)
    : weight(at::ones({channels})),
      bias(at::zeros({channels})),
      running_mean(at::zeros({channels})),
      running_var(at::ones({channels})),
      num_batches_tracked(at::zeros({}, at::kLong)),
      fused(fuse) {}

// Undefined: neither read nor moved.
BatchNorm::Running BatchNorm::running(Mode mode) const {
  return mode == Mode::kRecompute ? Running() : Running{running_mean, running_var};
}

std::optional<at::Tensor> BatchNorm::try_fused(const at::Tensor& x, const at::Tensor& residual,
                                               Mode mode, bool relu) const {
  const Running moved = running(mode);
  const NormParameters norm{weight, bias, moved.mean, moved.var, kMomentum, kEps};
  if (!fused || !can_fuse_norm(x, residual, norm)) return std::nullopt;
  return fused_norm(x, residual, norm, mode != Mode::kEvaluate, relu);
}

at::Tensor BatchNorm::operator()(const at::Tensor& x, Mode mode) const {
  const auto y = try_fused(x, {}, mode, /*relu=*/false);
  return y ? *y : separate(x, mode);
}

at::Tensor BatchNorm::relu(const at::Tensor& x, Mode mode) const {
  const auto y = try_fused(x, {}, mode, /*relu=*/true);
  return y ? *y : separate(x, mode).relu_();
}

at::Tensor BatchNorm::add_relu(const at::Tensor& x, const at::Tensor& residual, Mode mode) const {
  const auto y = try_fused(x, residual, mode, /*relu=*/true);
  return y ? *y : separate(x, mode).add_(residual).relu_();
}

at::Tensor BatchNorm::separate(const at::Tensor& x, Mode mode) const {
  const Running moved = running(mode);
  return at::batch_norm(x, weight, bias, moved.mean, moved.var, mode != Mode::kEvaluate, kMomentum,
                        kEps, /*cudnn_enabled=*/true);
}

void BatchNorm::visit(const std::string& name, const TensorVisitor& visitor) {
  visitor(name + ".weight", weight, true);
  visitor(name + ".bias", bias, true);
  visitor(name + ".running_mean", running_mean, false);
  visitor(name + ".running_var", running_var, false);
  visitor(name + ".num_batches_tracked", num_batches_tracked, false);
}

Linear::Linear(int64_t in, int64_t out, const at::Generator& generator)
    : weight(at::empty({out, in})), bias(at::zeros({out})) {
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  weight.uniform_(-bound, bound, generator);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return at::linear(x, weight, bias);
}

void Linear::visit(const std::string& name, const TensorVisitor& visitor) {
  visitor(name + ".weight", weight, true);
  visitor(name + ".bias", bias, true);
}

}  // namespace resnext
