// LARS and LAMB for float32 weights on the CPU: each parameter in two passes over memory.
//
// The first takes the norms and, for LAMB, the averages and the change; the second changes the
// weights. Pieces of a parameter are the same whatever the number of threads, and their sums are
// added up in order.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "worker/step/layerwise_loops.h"
#include "worker/step/update_rule.h"

namespace resnext {
namespace {

constexpr int64_t kPieceElements = 1 << 14;

// One parameter and the padding behind it, which is zero and stays so.
struct Part {
  float *weights, *gradients;
  std::array<float*, 2> state;  // as many as the rule has slots
  int64_t count;
  bool adapts;  // decays, and is scaled by norms
};

// Of a part's weights and of what changes them.
struct Norms {
  double weights, change;
};

int64_t pieces_of(const Part& part) {
  return (part.count + kPieceElements - 1) / kPieceElements;
}

// Calls work(piece, offset, count) for each, on all threads.
template <class Work>
void for_each_piece(const Part& part, const Work& work) {
  at::parallel_for(0, pieces_of(part), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t offset = i * kPieceElements;
      work(i, offset, std::min(kPieceElements, part.count - offset));
    }
  });
}

// The same from the last to the first: what a pass before has left in the caches comes first.
template <class Work>
void for_each_piece_backwards(const Part& part, const Work& work) {
  at::parallel_for(0, pieces_of(part), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t offset = (pieces_of(part) - 1 - i) * kPieceElements;
      work(offset, std::min(kPieceElements, part.count - offset));
    }
  });
}

class LoopRule : public UpdateRule {
 public:
  explicit LoopRule(const OptimizerOptions& options) : options_(options) {}

  void follow(const ParameterLayout& layout, const std::vector<bool>& decays) override {
    parts_.clear();
    int64_t most = 0;
    for (const ParameterBucket& bucket : layout.buckets()) {
      for (size_t i = 0; i < bucket.members.size(); ++i) {
        parts_.push_back(part_of(bucket, i, decays[bucket.members[i]]));
        most = std::max(most, pieces_of(parts_.back()));
      }
    }
    squares_.resize(most);
  }

  bool scales_gradients() const override { return true; }

  void update(const UpdateInputs& inputs) override {
    if (inputs.skip.item<float>() > 0) return;
    for (const Part& part : parts_) update(part, inputs);
  }

 protected:
  virtual void update(const Part& part, const UpdateInputs& inputs) = 0;

  double decay_of(const Part& part) const { return part.adapts ? options_.weight_decay : 0; }

  // Of a part, from the sums of squares that work(offset, count) returns.
  template <class Work>
  Norms norms(const Part& part, const Work& work) {
    for_each_piece(part, [&](int64_t piece, int64_t offset, int64_t count) {
      squares_[piece] = work(offset, count);
    });
    Norms sum = {};
    for (int64_t i = 0; i < pieces_of(part); ++i) {
      sum.weights += squares_[i].weights;
      sum.change += squares_[i].change;
    }
    return {std::sqrt(sum.weights), std::sqrt(sum.change)};
  }

  // 1 where a norm is 0.
  static double ratio(const Norms& norms, double numerator, double denominator) {
    return norms.weights > 0 && norms.change > 0 ? numerator / denominator : 1;
  }

  const OptimizerOptions options_;
  const LayerwiseLoops loops_ = layerwise_loops();

 private:
  static Part part_of(const ParameterBucket& bucket, size_t i, bool adapts) {
    const int64_t begin = bucket.offsets[i];
    const bool last = i + 1 == bucket.members.size();
    const int64_t end = last ? bucket.weights.numel() : bucket.offsets[i + 1];
    const auto at = [&](const at::Tensor& flat) { return flat.mutable_data_ptr<float>() + begin; };
    Part part{at(bucket.weights), at(bucket.gradients), {}, end - begin, adapts};
    std::ranges::transform(bucket.state, part.state.begin(), at);
    return part;
  }

  std::vector<Part> parts_;
  std::vector<Norms> squares_;  // by piece; of sums
};

// The formula is that of make_lars().
class LoopLars final : public LoopRule {
 public:
  using LoopRule::LoopRule;
  std::vector<std::string> slots() const override { return {"momentum"}; }
  bool counts_steps() const override { return false; }

 private:
  void update(const Part& part, const UpdateInputs& inputs) override {
    double rate = inputs.lr;
    if (part.adapts) rate *= trust_ratio(part, inputs.gradient_factor);
    const LarsFactors factors{rate * inputs.gradient_factor, rate * decay_of(part),
                              options_.momentum, options_.nesterov};
    for_each_piece_backwards(part, [&](int64_t at, int64_t count) {
      loops_.lars(factors, part.gradients + at, part.state[0] + at, part.weights + at, count);
    });
  }

  double trust_ratio(const Part& part, double gradient_factor) {
    const Norms n = norms(part, [&](int64_t at, int64_t count) {
      return Norms{loops_.sum_of_squares(part.weights + at, count),
                   loops_.sum_of_squares(part.gradients + at, count)};
    });
    const double below =
        gradient_factor * n.change + options_.weight_decay * n.weights + eps_of(options_);
    return ratio(n, options_.trust * n.weights, below);
  }
};

// The formula is that of make_lamb().
class LoopLamb final : public LoopRule {
 public:
  using LoopRule::LoopRule;
  std::vector<std::string> slots() const override { return {"exp_avg", "exp_avg_sq"}; }
  bool counts_steps() const override { return true; }

 private:
  void update(const Part& part, const UpdateInputs& inputs) override {
    const LambFactors factors = factors_of(part, inputs);
    float *const u = part.gradients, *const w = part.weights;
    const Norms n = norms(part, [&](int64_t at, int64_t count) {
      loops_.lamb_change(factors, u + at, part.state[0] + at, part.state[1] + at, w + at, count);
      return Norms{loops_.sum_of_squares(w + at, count), loops_.sum_of_squares(u + at, count)};
    });
    double rate = inputs.lr;
    if (decay_of(part) > 0) rate *= ratio(n, n.weights, n.change);
    for_each_piece_backwards(
        part, [&](int64_t at, int64_t count) { loops_.subtract(rate, u + at, w + at, count); });
  }

  LambFactors factors_of(const Part& part, const UpdateInputs& inputs) const {
    const double t = inputs.steps.item<float>();
    return {inputs.gradient_factor,
            options_.beta1,
            options_.beta2,
            1 / (1 - std::pow(options_.beta1, t)),
            1 / std::sqrt(1 - std::pow(options_.beta2, t)),
            eps_of(options_),
            decay_of(part)};
  }
};

}  // namespace

std::unique_ptr<UpdateRule> make_loop_lars(const OptimizerOptions& options) {
  return std::make_unique<LoopLars>(options);
}

std::unique_ptr<UpdateRule> make_loop_lamb(const OptimizerOptions& options) {
  return std::make_unique<LoopLamb>(options);
}

}  // namespace resnext
