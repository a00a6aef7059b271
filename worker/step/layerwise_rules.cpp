// LARS and LAMB: the change of each parameter is scaled by the norms of the parameter and of what
// would change it.
//
// Numbers of one parameter (norms, ratio) are float64 and spread over a bucket's elements by an
// index that is made once; it costs 4 bytes a weight.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/div.h>
#include <ATen/ops/full.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "worker/step/sgd_pass.h"
#include "worker/step/update_rule.h"

namespace resnext {
namespace {

class LayerwiseRule : public UpdateRule {
 public:
  explicit LayerwiseRule(const OptimizerOptions& options) : options_(options) {}

  void follow(const ParameterLayout& layout, const std::vector<bool>& decays) override {
    buckets_ = layout.buckets();
    owners_.clear();
    weights_.clear();
    gradients_.clear();
    std::vector<double> decay, adapted;  // of the parameters in the order of the buckets
    for (const ParameterBucket& bucket : buckets_) {
      owners_.push_back(owners_of(bucket, static_cast<int64_t>(decay.size())));
      for (size_t i = 0; i < bucket.members.size(); ++i) {
        const int64_t count = layout.parameters()[bucket.members[i]].numel();
        weights_.push_back(bucket.weights.narrow(0, bucket.offsets[i], count));
        gradients_.push_back(bucket.gradients.narrow(0, bucket.offsets[i], count));
        decay.push_back(decays[bucket.members[i]] ? options_.weight_decay : 0);
        adapted.push_back(decays[bucket.members[i]] ? 1 : 0);
      }
    }
    decay_ = on_device(decay);
    adapted_ = on_device(adapted).gt(0);
  }

 protected:
  // Euclidean norms of the parameters' parts.
  static at::Tensor norms(const std::vector<at::Tensor>& parts) {
    return at::stack(at::_foreach_norm(parts)).to(at::kDouble);
  }
  // numerator / denominator where the parameter is adapted and both norms are above 0, else 1.
  at::Tensor ratio(const at::Tensor& numerator, const at::Tensor& denominator,
                   const at::Tensor& norm) const {
    const at::Tensor usable = adapted_.logical_and(numerator.gt(0)).logical_and(norm.gt(0));
    return at::where(usable, numerator.div(denominator), 1.0);
  }
  // One number a parameter, for each element of a bucket.
  at::Tensor spread(const at::Tensor& values, size_t bucket) const {
    return values.to(weights_.front().scalar_type()).index_select(0, owners_[bucket]);
  }
  static at::Tensor times_rate(const at::Tensor& values, const UpdateInputs& inputs) {
    return inputs.device_lr.defined() ? values.mul(inputs.device_lr) : values.mul(inputs.lr);
  }

  const OptimizerOptions options_;
  std::vector<ParameterBucket> buckets_;
  std::vector<at::Tensor> weights_, gradients_;  // a part a parameter
  at::Tensor decay_;                             // float64 [parameters]

 private:
  at::Tensor on_device(const std::vector<double>& values) const {
    return at::tensor(values, at::kDouble).to(weights_.front().device());
  }
  // The padding behind a parameter goes with it: nothing times anything is nothing.
  static at::Tensor owners_of(const ParameterBucket& bucket, int64_t first) {
    std::vector<int32_t> owners(static_cast<size_t>(bucket.weights.numel()));
    for (size_t i = 0; i < bucket.members.size(); ++i) {
      std::fill(owners.begin() + bucket.offsets[i], owners.end(),
                static_cast<int32_t>(first + static_cast<int64_t>(i)));
    }
    return at::tensor(owners, at::kInt).to(bucket.weights.device());
  }

  std::vector<at::Tensor> owners_;  // int32 [elements] of each bucket: places in decay_
  at::Tensor adapted_;              // bool [parameters]
};

// You, Gitman, Ginsburg 2017, arXiv 1708.03888, as MLPerf's ResNet does it (mlcommons/training,
// image_classification/tensorflow2/lars_optimizer.py): the rate is part of the momentum,
//   m = momentum * m + lr * ratio * (g + weight_decay * w);  w -= m,
//   ratio = trust * |w| / (|g| + weight_decay * |w| + eps),
// with Nesterov's variant where asked (MLPerf: not). What does not decay has ratio 1.
class Lars final : public LayerwiseRule {
 public:
  using LayerwiseRule::LayerwiseRule;
  std::vector<std::string> slots() const override { return {"momentum"}; }
  bool counts_steps() const override { return false; }

  void update(const UpdateInputs& inputs) override {
    const at::Tensor w = norms(weights_), g = norms(gradients_);
    const at::Tensor below = decay_.mul(w).add_(g).add_(eps_of(options_));
    const at::Tensor rates = times_rate(ratio(w.mul(options_.trust), below, g), inputs);
    std::vector<at::Tensor> weights, gradients, momenta;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      ParameterBucket& bucket = buckets_[i];
      bucket.gradients.addcmul_(bucket.weights, spread(decay_, i)).mul_(spread(rates, i));
      weights.push_back(bucket.weights);
      gradients.push_back(bucket.gradients);
      momenta.push_back(bucket.state[0]);
    }
    sgd_pass(weights, gradients, momenta, options_, /*weight_decay=*/0, /*lr=*/1.0, inputs.skip);
  }
};

// You et al. 2020, arXiv 1904.00962, as NVIDIA's FusedLAMB and timm's Lamb do it, with which
// "ResNet strikes back" (arXiv 2110.00476) trains:
//   m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2,
//   u = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * w,
//   w -= lr * |w| / |u| * u.
// No bounds of |w|. What does not decay, or all when weight_decay is 0, has ratio 1. Theirs also
// clip the gradients' global norm to 1 by default: that is optimizer.clip_norm.
class Lamb final : public LayerwiseRule {
 public:
  using LayerwiseRule::LayerwiseRule;
  std::vector<std::string> slots() const override { return {"exp_avg", "exp_avg_sq"}; }
  bool counts_steps() const override { return true; }

  void update(const UpdateInputs& inputs) override {
    const at::Tensor skip = inputs.skip.gt(0);
    for (ParameterBucket& bucket : buckets_) average(bucket, skip);
    make_changes(inputs);
    const at::Tensor w = norms(weights_), u = norms(gradients_);
    const at::Tensor scale = options_.weight_decay > 0 ? ratio(w, u, u) : w.mul(0).add_(1);
    const at::Tensor rates = at::where(skip, 0.0, times_rate(scale, inputs));
    for (size_t i = 0; i < buckets_.size(); ++i) {
      buckets_[i].weights.addcmul_(buckets_[i].gradients, spread(rates, i), -1);
    }
  }

 private:
  // m and v. Of a step that is skipped the gradients, which may be anything, count as nothing.
  void average(ParameterBucket& bucket, const at::Tensor& skip) const {
    at::Tensor &g = bucket.gradients, &m = bucket.state[0], &v = bucket.state[1];
    const auto unless = [&](double value, double skipped) {
      return at::where(skip, skipped, at::full({}, value, g.options()));
    };
    g.masked_fill_(skip, 0);
    m.lerp_(g, unless(1 - options_.beta1, 0));
    v.mul_(unless(options_.beta2, 1)).addcmul_(g, g, 1 - options_.beta2);
  }

  // u takes the gradients' place.
  void make_changes(const UpdateInputs& inputs) {
    const at::Tensor t = inputs.steps.to(at::kDouble).clamp_min_(1);
    const auto correction = [&](double beta) { return at::pow(beta, t).neg_().add_(1); };
    const at::Tensor of_m = correction(options_.beta1), of_v = correction(options_.beta2).sqrt_();
    for (size_t i = 0; i < buckets_.size(); ++i) {
      ParameterBucket& bucket = buckets_[i];
      at::Tensor& u = bucket.gradients;
      at::sqrt_out(u, bucket.state[1]);
      u.div_(of_v).add_(eps_of(options_));
      at::div_out(u, bucket.state[0], u);
      u.div_(of_m).addcmul_(bucket.weights, spread(decay_, i));
    }
  }
};

}  // namespace

std::unique_ptr<UpdateRule> make_lars(const OptimizerOptions& options) {
  return std::make_unique<Lars>(options);
}

std::unique_ptr<UpdateRule> make_lamb(const OptimizerOptions& options) {
  return std::make_unique<Lamb>(options);
}

}  // namespace resnext
