// The plan against itself (what it must be to run) and against the network that is built from it.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/plan.h"

#include <gtest/gtest.h>

#include <set>

#include "model/network/resnext.h"

namespace resnext {
namespace {

ModelOptions small(Family family, Block block, Shortcut shortcut) {
  ModelOptions options;
  options.family = family;
  options.depth = family == Family::kCifar ? 20 : 50;
  options.cardinality = 4;
  options.base_width = 16;
  options.stem.width = 16;
  options.block = block;
  options.shortcut = shortcut;
  options.classes = 7;
  return options;
}

std::vector<ModelOptions> all_networks() {
  std::vector<ModelOptions> all;
  for (const Family family : {Family::kImagenet, Family::kCifar}) {
    for (const Block block : {Block::kC, Block::kB, Block::kResnet}) {
      for (const Shortcut shortcut : {Shortcut::kA, Shortcut::kB, Shortcut::kC}) {
        all.push_back(small(family, block, shortcut));
      }
    }
  }
  return all;
}

TEST(Plan, NamesAndShapesAreThoseOfTheNetworksStateDict) {
  for (const ModelOptions& options : all_networks()) {
    const StateDict state = ResNeXt(options, 1).state_dict();
    size_t i = 0;
    for (const PlannedLayer& layer : plan_network(options).layers) {
      for (const PlannedTensor& tensor : layer.tensors()) {
        ASSERT_LT(i, state.size());
        EXPECT_EQ(tensor.name, state[i].first);
        EXPECT_EQ(at::IntArrayRef(tensor.shape), state[i].second.sizes()) << tensor.name;
        ++i;
      }
    }
    EXPECT_EQ(i, state.size());
  }
}

// As torchvision lists a block's tensors (torchvision/models/resnet.py): main path, then shortcut.
TEST(Plan, ListsABlockAsTorchvision) {
  std::vector<std::string> names;
  for (const PlannedLayer& layer :
       plan_network(small(Family::kImagenet, Block::kC, Shortcut::kB)).layers) {
    if (layer.name.starts_with("layer2.0.") && !layer.tensors().empty()) {
      names.push_back(layer.name.substr(9));
    }
  }
  EXPECT_EQ(names, (std::vector<std::string>{"conv1", "bn1", "conv2", "bn2", "conv3", "bn3",
                                             "downsample.0", "downsample.1"}));
}

TEST(Plan, LayersTakeWhatEarlierOnesGive) {
  for (const ModelOptions& options : all_networks()) {
    const NetworkPlan plan = plan_network(options);
    std::set<std::string> names;
    for (size_t i = 0; i < plan.layers.size(); ++i) {
      const PlannedLayer& layer = plan.layers[i];
      EXPECT_TRUE(names.insert(layer.name).second) << layer.name;
      ASSERT_FALSE(layer.inputs.empty()) << layer.name;
      for (const int64_t input : layer.inputs) {
        ASSERT_LT(input, static_cast<int64_t>(i)) << layer.name;
        const int64_t given = input == kImages ? kImageChannels : plan.layers[input].out_channels;
        EXPECT_EQ(given, layer.in_channels) << layer.name;
      }
    }
  }
}

// All outputs but the last are read; what joins the addition is read by it alone.
TEST(Plan, EveryOutputIsRead) {
  for (const ModelOptions& options : all_networks()) {
    const NetworkPlan plan = plan_network(options);
    const std::vector<int> readers = plan.readers();
    for (size_t i = 0; i + 1 < plan.layers.size(); ++i) {
      EXPECT_GE(readers[i], 1) << plan.layers[i].name;
      if (plan.layers[i].joins_the_addition) {
        EXPECT_EQ(readers[i], 1) << plan.layers[i].name;
      }
    }
    EXPECT_EQ(readers.back(), 0);
  }
}

// What makes it possible to run a stage again by itself.
TEST(Plan, AStageReadsItselfAndTheLayerBeforeIt) {
  for (const ModelOptions& options : all_networks()) {
    const NetworkPlan plan = plan_network(options);
    EXPECT_EQ(plan.stages.size(), options.family == Family::kCifar ? 3U : 4U);
    size_t end = plan.stages.front().begin;
    for (const LayerRange stage : plan.stages) {
      EXPECT_EQ(stage.begin, end);
      end = stage.end;
      for (size_t i = stage.begin; i < stage.end; ++i) {
        for (const int64_t input : plan.layers[i].inputs) {
          EXPECT_GE(input, static_cast<int64_t>(stage.begin) - 1) << plan.layers[i].name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace resnext
