// Stochastic depth: its rates, its draws, and what it does to a network. Whole steps against
// PyTorch are in tests/worker/recipe_steps_test.cpp.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/stochastic_depth.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "model/network/resnext.h"
#include "tests/model/network/networks.h"

namespace resnext {
namespace {

ModelOptions deep(double rate, int64_t se_reduction = 0) {
  ModelOptions options;
  options.family = Family::kCifar;
  options.depth = 20;
  options.cardinality = 2;
  options.base_width = 16;
  options.classes = 4;
  options.stem.width = 16;
  options.se_reduction = se_reduction;
  options.stochastic_depth = rate;
  return options;
}

std::vector<double> rates(const ModelOptions& options) {
  std::vector<double> found;
  for (const PlannedLayer& layer : plan_network(options).layers) {
    if (layer.kind == LayerKind::kAddition) found.push_back(layer.drop_rate);
  }
  return found;
}

// timm/models/resnet.py: rate * block / (blocks - 1).
TEST(StochasticDepth, RatesGrowWithTheBlocksNumber) {
  ModelOptions options = test::imagenet(50, 32, 4);
  options.stochastic_depth = 0.3;
  const std::vector<double> found = rates(options);
  ASSERT_EQ(found.size(), 16U);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_DOUBLE_EQ(found[i], 0.3 * static_cast<double>(i) / 15);
  }
  for (const double rate : rates(test::imagenet(50, 32, 4))) EXPECT_EQ(rate, 0);
}

// Of any image by itself: the same in whatever parts the images come.
TEST(StochasticDepth, DrawsDependOnKeyAndNumberAlone) {
  StochasticDepth depth(plan_network(deep(0.5)), at::kCPU);
  depth.use(77, 100);
  const at::Tensor whole = depth.scales(24);
  ASSERT_EQ(whole.sizes(), (std::vector<int64_t>{6, 24}));
  std::vector<at::Tensor> parts;
  for (int64_t first = 100; first < 124; first += 8) {
    depth.use(77, first);
    parts.push_back(depth.scales(8));
  }
  EXPECT_TRUE(at::equal(at::cat(parts, 1), whole));
  depth.use(78, 100);
  EXPECT_FALSE(at::equal(depth.scales(24), whole));
}

TEST(StochasticDepth, LeavesOutAsManyAsItsRatesSay) {
  constexpr int64_t kImages = 40000;
  StochasticDepth depth(plan_network(deep(0.5)), at::kCPU);
  depth.use(5, 0);
  const at::Tensor scales = depth.scales(kImages);
  for (int64_t block = 0; block < 6; ++block) {
    const double p = 0.5 * static_cast<double>(block) / 5;
    const at::Tensor mine = scales[block];
    const double dropped = mine.eq(0).sum().item<double>();
    EXPECT_NEAR(dropped, kImages * p, 5 * std::sqrt(kImages * p * (1 - p))) << block;
    EXPECT_DOUBLE_EQ(mine.max().item<double>(), 1 / (1 - p));
    if (block == 0) continue;  // blocks are drawn by themselves: the correlation's error is 1 / 200
    const double q = 0.5 * static_cast<double>(block - 1) / 5;
    const double both = mine.eq(0).logical_and(scales[block - 1].eq(0)).sum().item<double>();
    EXPECT_NEAR(both, kImages * p * q, 5 * std::sqrt(kImages * p * q + 1)) << block;
  }
}

at::Tensor images(int64_t count) {
  return at::randn({count, 3, 16, 16}, at::detail::createCPUGenerator(3))
      .contiguous(at::MemoryFormat::ChannelsLast);
}

struct Gradients {
  at::Tensor logits;
  std::vector<at::Tensor> all;
};

Gradients differentiate(const ModelOptions& options, uint64_t key) {
  ResNeXt network(options, 1);
  network.to(at::kCPU, at::kFloat, /*channels_last=*/true);
  network.draw_depth(key, 8);
  const at::Tensor logits = network.forward(images(8), Mode::kTrain);
  logits.square().sum().backward();
  Gradients found{logits.detach(), {}};
  for (const at::Tensor& p : network.parameters()) found.all.push_back(p.grad());
  return found;
}

void expect_close(const Gradients& a, const Gradients& b) {
  EXPECT_TRUE(at::allclose(a.logits, b.logits, 1e-4, 1e-5));
  for (size_t i = 0; i < a.all.size(); ++i) {
    EXPECT_TRUE(at::allclose(a.all[i], b.all[i], 1e-3, 1e-4)) << i;
  }
}

// With and without squeeze-and-excitation: fused and unfused layers, stages that run again.
TEST(StochasticDepth, GivesTheSameInAllFormsOfALayer) {
  for (const int64_t se_reduction : {0, 4}) {
    const ModelOptions options = deep(0.6, se_reduction);
    const Gradients reference = differentiate(options, 9);
    ModelOptions unfused = options, recomputed = options;
    unfused.fused = false;
    recomputed.recompute_stages = 3;
    expect_close(differentiate(unfused, 9), reference);
    expect_close(differentiate(recomputed, 9), reference);
    EXPECT_FALSE(at::allclose(differentiate(options, 10).logits, reference.logits));
  }
}

TEST(StochasticDepth, ValidatesTheWholeNetwork) {
  const ResNeXt with(deep(0.6), 1), without(deep(0), 1);
  EXPECT_TRUE(at::equal(with.forward(images(4), Mode::kEvaluate),
                        without.forward(images(4), Mode::kEvaluate)));
}

}  // namespace
}  // namespace resnext
