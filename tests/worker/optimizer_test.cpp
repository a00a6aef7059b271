// SPDX-License-Identifier: BSD-3-Clause
#include "worker/optimizer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>

#include "comm/common/error.h"

namespace resnext {
namespace {

at::Tensor parameter(at::IntArrayRef sizes, double value) {
  at::Tensor p = at::full(sizes, value, at::kDouble).set_requires_grad(true);
  p.mutable_grad() = at::full(sizes, 0.0, at::kDouble);
  return p;
}

// The formula, on numbers.
struct Reference {
  double w, m = 0;
  void step(const OptimizerOptions& o, double lr, double g, double decay) {
    g += decay * w;
    m = o.momentum * m + g;
    w -= lr * (o.nesterov ? g + o.momentum * m : m);
  }
};

TEST(Optimizer, FollowsTheFormulaWithAndWithoutNesterov) {
  for (bool nesterov : {true, false}) {
    OptimizerOptions options;
    options.nesterov = nesterov;
    options.weight_decay = 0.01;
    const at::Tensor p = parameter({2, 3}, 0.7);
    Optimizer optimizer(options, {p}, {"p"});
    Reference reference{0.7};
    for (int step = 0; step < 20; ++step) {
      const double g = std::sin(step), lr = 0.1 / (1 + step);
      p.grad().fill_(g);
      optimizer.step(lr);
      reference.step(options, lr, g, 0.01);
      ASSERT_NEAR(p.min().item<double>(), reference.w, 1e-14);
      ASSERT_NEAR(p.max().item<double>(), reference.w, 1e-14);
    }
  }
}

TEST(Optimizer, LeavesNormsAndBiasesWithoutDecayWhenAsked) {
  for (bool decay_norms : {true, false}) {
    OptimizerOptions options;
    options.weight_decay = 0.5;
    options.momentum = 0;
    options.nesterov = false;
    options.decay_norms = decay_norms;
    const at::Tensor weight = parameter({2, 2}, 1), bias = parameter({2}, 1);
    Optimizer(options, {weight, bias}, {"w", "b"}).step(0.1);
    EXPECT_DOUBLE_EQ(weight.max().item<double>(), 0.95);
    EXPECT_DOUBLE_EQ(bias.max().item<double>(), decay_norms ? 0.95 : 1);
  }
}

// Channels-last weights, gradients in the same format, float32: element by element the same.
TEST(Optimizer, TakesAnyDenseMemoryFormat) {
  const auto generator = at::detail::createCPUGenerator(2);
  const at::Tensor start = at::randn({5, 3, 3, 3}, generator),
                   g = at::randn({5, 3, 3, 3}, generator);
  std::vector<at::Tensor> results;
  for (auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    at::Tensor p = start.clone().contiguous(format).set_requires_grad(true);
    p.mutable_grad() = g.clone().contiguous(format);
    Optimizer optimizer({}, {p}, {"p"});
    for (int step = 0; step < 3; ++step) optimizer.step(0.1);
    results.push_back(p.detach().contiguous());
  }
  EXPECT_LT(results[0].sub(results[1]).abs().max().item<float>(), 1e-6);
}

TEST(Optimizer, ItsStateContinuesARun) {
  const at::Tensor a = parameter({3}, 1), b = parameter({3}, 1);
  Optimizer first({}, {a}, {"p"}), second({}, {b}, {"p"});
  a.grad().fill_(2);
  b.grad().fill_(2);
  first.step(0.1);
  {
    at::NoGradGuard no_grad;
    b.copy_(a);
  }
  second.load(first.state_dict(), "checkpoint");
  first.step(0.1);
  second.step(0.1);
  EXPECT_TRUE(a.equal(b));
}

TEST(Optimizer, RefusesAStateOfAnotherModel) {
  Optimizer optimizer({}, {parameter({3}, 1)}, {"p"});
  EXPECT_THROW(optimizer.load({}, "f"), CheckpointError);
  EXPECT_THROW(optimizer.load({{"p", at::ones({4})}}, "f"), CheckpointError);
  EXPECT_THROW(optimizer.load({{"q", at::ones({3})}}, "f"), CheckpointError);
}

}  // namespace
}  // namespace resnext
