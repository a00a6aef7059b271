// LARS and LAMB: the change of each parameter is scaled by the norms of the parameter and of what
// would change it.
//
// In PyTorch's operators, a bucket at a time: for GPUs, and float64. Numbers of one parameter
// (norms, ratio) are float64 on the device.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/div.h>
#include <ATen/ops/full.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include "worker/step/sgd_pass.h"
#include "worker/step/update_rule.h"

namespace resnext {
namespace {

// A bucket, with what belongs to each of its parameters.
struct Chunk {
  at::Tensor weights, gradients;                         // [elements], zeros between parameters
  std::vector<at::Tensor> state;                         // one a slot, as `weights`
  std::vector<at::Tensor> weight_parts, gradient_parts;  // a part a parameter
  std::vector<at::Tensor> decayed_weights, decayed_gradients;  // of those that decay
  at::Tensor adapted;                                          // bool [parameters]
  at::Tensor decay;                                            // float64 [parameters]
};

Chunk chunk_of(const ParameterBucket& bucket, const std::vector<at::Tensor>& parameters,
               const std::vector<bool>& decays, double weight_decay) {
  Chunk chunk{bucket.weights, bucket.gradients, bucket.state, {}, {}, {}, {}, {}, {}};
  std::vector<double> decay, adapted;
  for (size_t i = 0; i < bucket.members.size(); ++i) {
    const int64_t count = parameters[bucket.members[i]].numel();
    chunk.weight_parts.push_back(bucket.weights.narrow(0, bucket.offsets[i], count));
    chunk.gradient_parts.push_back(bucket.gradients.narrow(0, bucket.offsets[i], count));
    decay.push_back(decays[bucket.members[i]] ? weight_decay : 0);
    adapted.push_back(decays[bucket.members[i]] ? 1 : 0);
    if (!decays[bucket.members[i]]) continue;
    chunk.decayed_weights.push_back(chunk.weight_parts.back());
    chunk.decayed_gradients.push_back(chunk.gradient_parts.back());
  }
  chunk.decay = at::tensor(decay, at::kDouble).to(chunk.weights.device());
  chunk.adapted = at::tensor(adapted, at::kDouble).to(chunk.weights.device()).gt(0);
  return chunk;
}

class LayerwiseRule : public UpdateRule {
 public:
  explicit LayerwiseRule(const OptimizerOptions& options) : options_(options) {}

  void follow(const ParameterLayout& layout, const std::vector<bool>& decays) override {
    chunks_.clear();
    for (const ParameterBucket& bucket : layout.buckets()) {
      chunks_.push_back(chunk_of(bucket, layout.parameters(), decays, options_.weight_decay));
    }
  }

 protected:
  // Euclidean norms of the parameters' parts.
  static at::Tensor norms(const std::vector<at::Tensor>& parts) {
    return at::stack(at::_foreach_norm(parts)).to(at::kDouble);
  }
  // numerator / denominator where the parameter is adapted and both norms are above 0, else 1.
  static at::Tensor ratio(const Chunk& chunk, const at::Tensor& numerator,
                          const at::Tensor& denominator, const at::Tensor& norm) {
    const at::Tensor usable = chunk.adapted.logical_and(numerator.gt(0)).logical_and(norm.gt(0));
    return at::where(usable, numerator.div(denominator), 1.0);
  }
  // The gradients become gradients + weight_decay * weights.
  void decay(Chunk& chunk) const {
    if (chunk.decayed_weights.empty() || options_.weight_decay == 0) return;
    at::_foreach_add_(chunk.decayed_gradients, chunk.decayed_weights, options_.weight_decay);
  }
  // Each parameter's gradients times its number.
  static void scale(Chunk& chunk, const at::Tensor& numbers) {
    const at::Tensor same_type = numbers.to(chunk.gradients.scalar_type());
    at::_foreach_mul_(chunk.gradient_parts, same_type.unbind());
  }
  static at::Tensor times_rate(const at::Tensor& values, const UpdateInputs& inputs) {
    return inputs.device_lr.defined() ? values.mul(inputs.device_lr) : values.mul(inputs.lr);
  }

  const OptimizerOptions options_;
  std::vector<Chunk> chunks_;
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
    for (Chunk& chunk : chunks_) {
      const at::Tensor w = norms(chunk.weight_parts), g = norms(chunk.gradient_parts);
      const at::Tensor below = chunk.decay.mul(w).add_(g).add_(eps_of(options_));
      decay(chunk);
      scale(chunk, times_rate(ratio(chunk, w.mul(options_.trust), below, g), inputs));
      sgd_pass(chunk.weights, chunk.gradients, chunk.state[0], options_, /*weight_decay=*/0,
               /*lr=*/1.0, inputs.skip);
    }
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
    const at::Tensor t = inputs.steps.to(at::kDouble).clamp_min_(1);
    const auto correction = [&](double beta) { return at::pow(beta, t).neg_().add_(1); };
    const at::Tensor of_m = correction(options_.beta1), of_v = correction(options_.beta2).sqrt_();
    for (Chunk& chunk : chunks_) {
      average(chunk, skip);
      make_change(chunk, of_m, of_v);
      const at::Tensor w = norms(chunk.weight_parts), u = norms(chunk.gradient_parts);
      const at::Tensor factor =
          options_.weight_decay > 0 ? ratio(chunk, w, u, u) : w.mul(0).add_(1);
      scale(chunk, at::where(skip, 0.0, times_rate(factor, inputs)));
      chunk.weights.sub_(chunk.gradients);
    }
  }

 private:
  // m and v. Of a step that is skipped the gradients, which may be anything, count as nothing.
  void average(Chunk& chunk, const at::Tensor& skip) const {
    at::Tensor &g = chunk.gradients, &m = chunk.state[0], &v = chunk.state[1];
    const auto unless = [&](double value, double skipped) {
      return at::where(skip, skipped, at::full({}, value, g.options()));
    };
    g.masked_fill_(skip, 0);
    m.lerp_(g, unless(1 - options_.beta1, 0));
    v.mul_(unless(options_.beta2, 1)).addcmul_(g, g, 1 - options_.beta2);
  }

  // u takes the gradients' place.
  void make_change(Chunk& chunk, const at::Tensor& of_m, const at::Tensor& of_v) const {
    at::Tensor& u = chunk.gradients;
    at::sqrt_out(u, chunk.state[1]);
    u.div_(of_v).add_(eps_of(options_));
    at::div_out(u, chunk.state[0], u);
    u.div_(of_m);
    decay(chunk);
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
