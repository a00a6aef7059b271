// The work of each layer against closed forms.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/cost_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/model/network/networks.h"

namespace resnext {
namespace {

using test::cifar;
using test::imagenet;

constexpr int64_t kImageCount = 8, kElement = 2;

std::vector<LayerWork> resnext50() {
  return layer_work(imagenet(50, 32, 4), 224, kImageCount, kElement);
}

const LayerWork& layer(const std::vector<LayerWork>& work, const std::string& name) {
  const auto found = std::ranges::find(work, name, &LayerWork::name);
  if (found == work.end()) throw std::out_of_range(name);
  return *found;
}

TEST(CostProfile, ArithmeticIsThatOfTheCost) {
  double forward = 0, backward = 0;
  for (const LayerWork& w : resnext50()) {
    forward += w.forward.operations;
    backward += w.backward.operations;
  }
  const double network = 2e9 * kImageCount * model_cost(imagenet(50, 32, 4), 224).gmac;
  const double stem = 2.0 * kImageCount * 112 * 112 * 64 * 3 * 7 * 7;
  EXPECT_NEAR(forward, network, 1e-9 * network);
  EXPECT_NEAR(backward, 2 * network - stem, 1e-9 * network) << "the images have no gradient";
}

TEST(CostProfile, AConvolutionReadsAndWritesEachOnce) {
  const std::vector<LayerWork> work = resnext50();
  const double activation = 1.0 * kImageCount * kElement * 128 * 56 * 56;
  const double weights = kElement * 128 * 4 * 9;
  const LayerWork& grouped = layer(work, "layer1.0.conv2");
  EXPECT_EQ(grouped.label, "grouped 3x3");
  EXPECT_EQ(grouped.forward.bytes, 2 * activation + weights);
  EXPECT_EQ(grouped.backward.bytes, 4 * activation + 2 * weights);
  // The 3x3 with a stride takes four times what it gives.
  const double small = 1.0 * kImageCount * kElement * 256 * 28 * 28;
  EXPECT_EQ(layer(work, "layer2.0.conv2").forward.bytes, 5 * small + kElement * 256.0 * 8 * 9);
}

// Passes as model/norm/fused_norm.h counts them.
TEST(CostProfile, NormalisationReadsTwiceAndWritesOnce) {
  const std::vector<LayerWork> work = resnext50();
  const double inner = 1.0 * kImageCount * kElement * 128 * 56 * 56;
  EXPECT_EQ(layer(work, "layer1.0.bn1").forward.bytes, 3 * inner);
  EXPECT_EQ(layer(work, "layer1.0.bn1").backward.bytes, 5 * inner);
  // x twice, the shortcut, the output; gradient, second gradient, x and output twice, two written.
  EXPECT_EQ(layer(work, "layer1.0.bn3").forward.bytes, 4 * 2 * inner);
  EXPECT_EQ(layer(work, "layer1.0.bn3").backward.bytes, 10 * 2 * inner);
  EXPECT_THROW(layer(work, "layer1.0.add"), std::out_of_range) << "BN has taken it along";
  EXPECT_EQ(layer(work, "layer1.0.bn3").parameters, (std::vector<int64_t>{256, 256}));
}

TEST(CostProfile, TheLongerOfBothDecides) {
  const MachineRates rates{100, 10};
  EXPECT_EQ(least_time({200, 10}, rates), 2);
  EXPECT_EQ(least_time({200, 30}, rates), 3);
}

TEST(CostProfile, EachLayerHasALabel) {
  std::map<std::string_view, int> count;
  for (const LayerWork& w : resnext50()) ++count[w.label];
  EXPECT_EQ(count, (std::map<std::string_view, int>{{"stem", 1},
                                                    {"1x1", 36},
                                                    {"grouped 3x3", 16},
                                                    {"batch norm", 53},
                                                    {"pool", 2},
                                                    {"linear", 1}}));
  ModelOptions resnet = cifar(11, 1, 64);
  resnet.block = Block::kResnet;
  const auto work = layer_work(resnet, 32, 1, 4);
  EXPECT_EQ(layer(work, "layer1.0.conv2").label, "3x3");
}

}  // namespace
}  // namespace resnext
