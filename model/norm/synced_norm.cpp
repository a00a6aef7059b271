// SPDX-License-Identifier: BSD-3-Clause
#include "model/norm/synced_norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/var_mean.h>
#include <torch/csrc/autograd/custom_function.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kDimensions[] = {0, 2, 3};
constexpr at::IntArrayRef kPixels(kDimensions);  // all but the channels

at::Tensor wide(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

// [C] beside [N, C, H, W].
at::Tensor beside(const at::Tensor& channels) {
  return channels.view({1, -1, 1, 1});
}

double rows_of(const at::Tensor& x, const NormRanks& ranks) {
  return static_cast<double>(x.numel() / x.size(1)) * ranks.size();
}

// Of all ranks' values: the mean and the sum of squared deviations from it, [2, C].
at::Tensor merged_moments(const at::Tensor& x, NormRanks& ranks) {
  const auto [variance, mean] = at::var_mean(x, kPixels, /*correction=*/0);
  const double rows = rows_of(x, ranks) / ranks.size();
  const at::Tensor each = ranks.gather(at::stack({mean, variance.mul_(rows)}));  // [ranks, 2, C]
  const at::Tensor means = each.select(1, 0), squares = each.select(1, 1);
  const at::Tensor whole = means.mean(0);
  return at::stack({whole, squares.sum(0).add_(means.sub(whole).square_().sum(0).mul_(rows))});
}

// As at::batch_norm, which keeps the unbiased variance.
void move_running(const at::Tensor& moments, double rows, const NormParameters& norm) {
  const auto move = [&](const at::Tensor& running, const at::Tensor& to) {
    running.mul_(1 - norm.momentum).add_(to.to(running.scalar_type()), norm.momentum);
  };
  move(norm.running_mean, moments[0]);
  move(norm.running_var, moments[1].div(rows - 1));
}

class SyncedNorm : public torch::autograd::Function<SyncedNorm> {
 public:
  // Autograd sees the tensors among the arguments; weight and bias are those of `norm`.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const NormParameters& norm, NormRanks* ranks) {
    const at::Tensor values = wide(x);
    const double rows = rows_of(x, *ranks);
    const at::Tensor moments = merged_moments(values, *ranks);
    if (norm.running_mean.defined()) move_running(moments, rows, norm);
    const at::Tensor mean = moments[0];
    const at::Tensor inverse = moments[1].div(rows).add_(norm.eps).rsqrt_();
    context->save_for_backward({x, weight, mean, inverse});
    context->saved_data["ranks"] = reinterpret_cast<int64_t>(ranks);
    return values.sub(beside(mean))
        .mul_(beside(inverse.mul(weight)))
        .add_(beside(bias))
        .to(x.scalar_type());
  }

  // dx = weight * inverse * (g - mean of g - normalised x * mean of g * normalised x)
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error(ExitCode::kInternal, "synced_norm", "has no second derivative",
                  "set model.norm to local");
    }
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &inverse = saved[3];
    auto& ranks = *reinterpret_cast<NormRanks*>(context->saved_data["ranks"].toInt());
    const at::Tensor g = wide(gradients[0]);
    const at::Tensor normalised = wide(x).sub(beside(mean)).mul_(beside(inverse));
    const at::Tensor of_bias = g.sum(kPixels), of_weight = g.mul(normalised).sum(kPixels);
    const at::Tensor sums = at::stack({of_bias, of_weight});
    ranks.sum(sums);
    sums.div_(rows_of(x, ranks));
    const at::Tensor of_x = g.sub(beside(sums[0]))
                                .sub_(normalised.mul(beside(sums[1])))
                                .mul_(beside(inverse.mul(weight)))
                                .to(x.scalar_type());
    return {of_x, of_weight, of_bias, {}, {}};
  }
};

}  // namespace

at::Tensor synced_norm(const at::Tensor& x, const NormParameters& norm, NormRanks& ranks) {
  return SyncedNorm::apply(x, norm.weight, norm.bias, norm, &ranks);
}

}  // namespace resnext
