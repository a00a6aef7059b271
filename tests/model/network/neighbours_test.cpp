// Where BN fits into convolutions: the paper's networks, counted by hand.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/neighbours.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/model/network/networks.h"

namespace resnext {
namespace {

using test::cifar;
using test::imagenet;

struct Counts {
  int64_t convolutions, statistics, normalised;
  bool operator==(const Counts&) const = default;
};

Counts counts(const ModelOptions& options) {
  const auto found = convolution_neighbours(plan_network(options));
  return {std::ssize(found),
          std::ranges::count_if(found, [](const auto& n) { return n.statistics_of.has_value(); }),
          std::ranges::count_if(found, [](const auto& n) { return n.normalised_by.has_value(); })};
}

// Name of the layer before and behind the convolution `name`; "-" where it is none.
std::string around(const ModelOptions& options, const std::string& name) {
  const NetworkPlan plan = plan_network(options);
  const auto text = [&](const std::optional<size_t>& layer) {
    return layer ? plan.layers[*layer].name : "-";
  };
  for (const ConvolutionNeighbours& n : convolution_neighbours(plan)) {
    if (plan.layers[n.convolution].name == name) {
      return text(n.normalised_by) + " " + text(n.statistics_of);
    }
  }
  return "no such convolution";
}

// Of 16 blocks the 3x3 and the last 1x1 read a BN that nobody else does; the first 1x1 and the
// projection read what the shortcut does too.
TEST(Neighbours, OfABottleneck) {
  const ModelOptions options = imagenet(50, 32, 4);
  EXPECT_EQ(counts(options), (Counts{53, 53, 32}));
  EXPECT_EQ(around(options, "conv1"), "- bn1");
  EXPECT_EQ(around(options, "layer1.0.conv1"), "- layer1.0.bn1");
  EXPECT_EQ(around(options, "layer1.0.conv2"), "layer1.0.bn1 layer1.0.bn2");
  EXPECT_EQ(around(options, "layer1.0.conv3"), "layer1.0.bn2 layer1.0.bn3");
  EXPECT_EQ(around(options, "layer1.0.downsample.0"), "- layer1.0.downsample.1");
  EXPECT_EQ(around(options, "layer1.1.conv1"), "- layer1.1.bn1");
}

TEST(Neighbours, OfTheOtherFamily) {
  EXPECT_EQ(counts(cifar(29, 8, 64)), (Counts{31, 31, 18}));  // 9 blocks, 3 projections, the stem
}

// The gates have no BN; what they scale is BN's output.
TEST(Neighbours, OfSqueezeAndExcitation) {
  ModelOptions options = imagenet(50, 32, 4);
  options.se_reduction = 16;
  EXPECT_EQ(counts(options), (Counts{53 + 32, 53, 32}));
  EXPECT_EQ(around(options, "layer1.0.se.fc1"), "- -");
}

// Paths are joined before the last 1x1.
TEST(Neighbours, OfSeparatePaths) {
  ModelOptions options = imagenet(50, 2, 40);
  options.block = Block::kB;
  EXPECT_EQ(around(options, "layer1.0.paths.1.conv2"), "layer1.0.paths.1.bn1 layer1.0.paths.1.bn2");
  EXPECT_EQ(around(options, "layer1.0.conv3"), "- layer1.0.bn3");
}

}  // namespace
}  // namespace resnext
