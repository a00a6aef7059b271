// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/optimizer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>

#include "comm/common/error.h"
#include "comm/single_process_communicator.h"

namespace resnext {
namespace {

at::Tensor parameter(at::IntArrayRef sizes, double value) {
  return at::full(sizes, value, at::kDouble).set_requires_grad(true);
}

// An optimizer over the gradients of a world of one.
struct Trained {
  SingleProcessCommunicator communicator;
  GradientReducer reducer;
  Optimizer optimizer;

  Trained(const OptimizerOptions& options, const std::vector<at::Tensor>& parameters,
          const std::vector<std::string>& names)
      : reducer(communicator, parameters, {}), optimizer(options, parameters, names, reducer) {}

  void step(double lr, bool skip = false) {
    optimizer.set_lr(lr);
    optimizer.step(at::full({}, skip ? 1.0 : 0.0, at::kFloat));
  }
};

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
    Trained trained(options, {p}, {"p"});
    Reference reference{0.7};
    for (int step = 0; step < 20; ++step) {
      const double g = std::sin(step), lr = 0.1 / (1 + step);
      p.grad().fill_(g);
      trained.step(lr);
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
    Trained(options, {weight, bias}, {"w", "b"}).step(0.1);
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
    Trained trained({}, {p}, {"p"});
    p.mutable_grad().copy_(g);
    for (int step = 0; step < 3; ++step) trained.step(0.1);
    results.push_back(p.detach().contiguous());
  }
  EXPECT_LT(results[0].sub(results[1]).abs().max().item<float>(), 1e-6);
}

TEST(Optimizer, ItsStateContinuesARun) {
  const at::Tensor a = parameter({3}, 1), b = parameter({3}, 1);
  Trained first({}, {a}, {"p"}), second({}, {b}, {"p"});
  a.grad().fill_(2);
  b.grad().fill_(2);
  first.step(0.1);
  {
    at::NoGradGuard no_grad;
    b.copy_(a);
  }
  second.optimizer.load(first.optimizer.state_dict(), "checkpoint");
  first.step(0.1);
  second.step(0.1);
  EXPECT_TRUE(a.equal(b));
}

TEST(Optimizer, RefusesAStateOfAnotherModel) {
  Trained trained({}, {parameter({3}, 1)}, {"p"});
  EXPECT_THROW(trained.optimizer.load({}, "f"), CheckpointError);
  EXPECT_THROW(trained.optimizer.load({{"p", at::ones({4})}}, "f"), CheckpointError);
  EXPECT_THROW(trained.optimizer.load({{"q", at::ones({3})}}, "f"), CheckpointError);
}

TEST(Optimizer, ASkippedStepChangesNothing) {
  const at::Tensor p = parameter({3}, 1);
  Trained trained({}, {p}, {"p"});
  p.mutable_grad().fill_(2);
  trained.step(0.1);
  const at::Tensor weights = p.detach().clone();
  const at::Tensor momentum = trained.optimizer.state_dict()[0].second.clone();
  p.mutable_grad().fill_(std::nan(""));
  trained.step(0.1, /*skip=*/true);
  EXPECT_TRUE(p.equal(weights));
  EXPECT_TRUE(trained.optimizer.state_dict()[0].second.equal(momentum));
}

// Weights, momentum and gradients are laid out anew when the reducer has learned its order.
TEST(Optimizer, FollowsTheBucketsWhenTheyAreBuiltAnew) {
  for (bool decay_norms : {true, false}) {
    OptimizerOptions options;
    options.decay_norms = decay_norms;
    options.weight_decay = 0.01;
    const std::vector<at::Tensor> parameters = {parameter({3, 2}, 0.5), parameter({5}, 0.7),
                                                parameter({2, 2}, 0.9)};
    Trained trained(options, parameters, {"a", "b", "c"});
    std::vector<Reference> references = {{0.5}, {0.7}, {0.9}};
    for (int step = 0; step < 4; ++step) {
      trained.reducer.begin();
      trained.reducer.arm();
      // The order of readiness differs from the order of parameters.
      for (int i : {1, 2, 0}) parameters[i].mul(i + 1.0).sum().backward();
      trained.reducer.wait();
      trained.step(0.1);
      for (int i = 0; i < 3; ++i) {
        references[i].step(options, 0.1, i + 1.0, i == 1 && !decay_norms ? 0 : 0.01);
        ASSERT_NEAR(parameters[i].min().item<double>(), references[i].w, 1e-14) << step;
        ASSERT_NEAR(parameters[i].max().item<double>(), references[i].w, 1e-14) << step;
      }
    }
    EXPECT_GT(trained.reducer.generation(), 1);
  }
}

}  // namespace
}  // namespace resnext
