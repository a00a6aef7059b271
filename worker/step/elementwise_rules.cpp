// SGD and AdamW: each weight by itself, in PyTorch's fused operators.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <functional>

#include "worker/step/sgd_pass.h"
#include "worker/step/update_rule.h"

namespace resnext {
namespace {

// Tensors that share a weight decay, element by element in the same places.
struct DecayGroup {
  double weight_decay;
  std::vector<at::Tensor> weights, gradients;
  std::vector<std::vector<at::Tensor>> state;  // by slot
};

void add(DecayGroup& group, const at::Tensor& weights, const at::Tensor& gradients,
         const std::vector<at::Tensor>& state) {
  group.weights.push_back(weights);
  group.gradients.push_back(gradients);
  for (size_t slot = 0; slot < state.size(); ++slot) group.state[slot].push_back(state[slot]);
}

// The rate as the operators take it: a number, or the device's.
template <class F>
void with_rate(const UpdateInputs& inputs, const F& f) {
  if (inputs.device_lr.defined()) {
    f(inputs.device_lr);
  } else {
    f(inputs.lr);
  }
}

// Whole buckets where all decay; else each parameter in its group.
class ElementwiseRule : public UpdateRule {
 public:
  explicit ElementwiseRule(const OptimizerOptions& options) : options_(options) {}

  void follow(const ParameterLayout& layout, const std::vector<bool>& decays) override {
    const std::vector<std::vector<at::Tensor>> none(slots().size());
    DecayGroup decayed{options_.weight_decay, {}, {}, none}, undecayed{0, {}, {}, none};
    const bool all = std::ranges::all_of(decays, [](bool decay) { return decay; });
    for (const ParameterBucket& bucket : layout.buckets()) {
      if (all) {
        add(decayed, bucket.weights, bucket.gradients, bucket.state);
        continue;
      }
      for (size_t i = 0; i < bucket.members.size(); ++i) {
        const at::Tensor& parameter = layout.parameters()[bucket.members[i]];
        const auto part = [&](const at::Tensor& flat) {
          return part_of(flat, parameter, bucket.offsets[i]);
        };
        std::vector<at::Tensor> state(bucket.state.size());
        std::ranges::transform(bucket.state, state.begin(), part);
        add(decays[bucket.members[i]] ? decayed : undecayed, part(bucket.weights),
            part(bucket.gradients), state);
      }
    }
    groups_.clear();
    for (DecayGroup& group : {std::ref(decayed), std::ref(undecayed)}) {
      if (!group.weights.empty()) groups_.push_back(std::move(group));
    }
  }

  void update(const UpdateInputs& inputs) override {
    for (DecayGroup& group : groups_) update(group, inputs);
  }

 protected:
  virtual void update(DecayGroup& group, const UpdateInputs& inputs) = 0;

  const OptimizerOptions options_;

 private:
  std::vector<DecayGroup> groups_;
};

class Sgd final : public ElementwiseRule {
 public:
  using ElementwiseRule::ElementwiseRule;
  std::vector<std::string> slots() const override { return {"momentum"}; }
  bool counts_steps() const override { return false; }

 private:
  void update(DecayGroup& group, const UpdateInputs& inputs) override {
    with_rate(inputs, [&](const auto& lr) {
      sgd_pass(group.weights, group.gradients, group.state[0], options_, group.weight_decay, lr,
               inputs.skip);
    });
  }
};

// Loshchilov and Hutter 2019, arXiv 1711.05101, as torch.optim.AdamW writes it.
class AdamW final : public ElementwiseRule {
 public:
  using ElementwiseRule::ElementwiseRule;
  std::vector<std::string> slots() const override { return {"exp_avg", "exp_avg_sq"}; }
  bool counts_steps() const override { return true; }

 private:
  void update(DecayGroup& group, const UpdateInputs& inputs) override {
    const std::vector<at::Tensor> steps(group.weights.size(), inputs.steps);
    with_rate(inputs, [&](const auto& lr) {
      at::_fused_adamw_(group.weights, group.gradients, group.state[0], group.state[1],
                        /*max_exp_avg_sqs=*/{}, steps, lr, options_.beta1, options_.beta2,
                        group.weight_decay, eps_of(options_), /*amsgrad=*/false, /*maximize=*/false,
                        /*grad_scale=*/{}, inputs.skip);
    });
  }
};

}  // namespace

std::unique_ptr<UpdateRule> make_sgd(const OptimizerOptions& options) {
  return std::make_unique<Sgd>(options);
}

std::unique_ptr<UpdateRule> make_adamw(const OptimizerOptions& options) {
  return std::make_unique<AdamW>(options);
}

}  // namespace resnext
