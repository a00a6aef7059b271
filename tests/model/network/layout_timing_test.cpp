// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/layout_timing.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

// Four stages with paths of 2, 4, 8 and 16 channels; 32 pixels become 8 in front of them.
ModelOptions narrow() {
  ModelOptions options;
  options.cardinality = 4;
  options.base_width = 16;
  options.stem.width = 8;
  options.classes = 7;
  return options;
}

std::vector<LayoutTiming> timings_of(const ModelOptions& options) {
  at::set_num_threads(1);  // others on the machine slow several down by far
  return time_grouped_convolutions(options, 2, 32, at::kCPU, at::kFloat);
}

struct Shape {
  std::string name;
  int64_t layers, channels, stride, side;
};

// Depth 50 has 3, 4, 6 and 3 blocks; the first of a later stage has stride 2 and as many channels
// as the rest of its stage.
TEST(LayoutTiming, HasEachGroupedShapeOnce) {
  const std::vector<Shape> expected = {
      {"layer1.0.conv2", 3, 8, 1, 8},  {"layer2.0.conv2", 1, 16, 2, 4},
      {"layer2.1.conv2", 3, 16, 1, 4}, {"layer3.0.conv2", 1, 32, 2, 2},
      {"layer3.1.conv2", 5, 32, 1, 2}, {"layer4.0.conv2", 1, 64, 2, 1},
      {"layer4.1.conv2", 2, 64, 1, 1},
  };
  const auto timings = timings_of(narrow());
  ASSERT_EQ(timings.size(), expected.size());
  for (size_t i = 0; i < timings.size(); ++i) {
    const LayerShape& layer = timings[i].layer;
    EXPECT_EQ(layer.name, expected[i].name);
    EXPECT_EQ(timings[i].layers, expected[i].layers) << layer.name;
    EXPECT_EQ(layer.in_channels, expected[i].channels) << layer.name;
    EXPECT_EQ(layer.stride, expected[i].stride) << layer.name;
    EXPECT_EQ(layer.output_side, expected[i].side) << layer.name;
    EXPECT_EQ(layer.kernel, 3);
    EXPECT_EQ(layer.groups, 4);
    EXPECT_GT(timings[i].channels_last_ms, 0);
    EXPECT_GT(timings[i].contiguous_ms, 0);
  }
}

TEST(LayoutTiming, HasNothingWhereNothingIsGrouped) {
  ModelOptions one = narrow(), paths = narrow(), plain = narrow();
  one.cardinality = 1;
  paths.block = Block::kB;
  plain.block = Block::kResnet;
  for (const ModelOptions& options : {one, paths, plain}) EXPECT_TRUE(timings_of(options).empty());
}

TEST(LayoutTiming, RefusesWhatNoNetworkHas) {
  ModelOptions options = narrow();
  options.classes = 0;
  EXPECT_THROW(timings_of(options), ConfigError);
}

TEST(SlowerLayoutWarning, IsEmptyWhenChannelsLastIsNotSlowerInSum) {
  EXPECT_EQ(slower_layout_warning({}), "");
  EXPECT_EQ(slower_layout_warning({{{}, 3, 2.0, 2.0}}), "");
  EXPECT_EQ(slower_layout_warning({{{}, 1, 9.0, 2.0}, {{}, 5, 1.0, 3.0}}), "");  // 14 and 17
}

// 2 * 10.5 + 3 * 4 = 33, 2 * 1 + 3 * 5.5 = 18.5
TEST(SlowerLayoutWarning, NamesBothTimesAndTheKey) {
  const std::string text = slower_layout_warning({{{}, 2, 10.5, 1.0}, {{}, 3, 4.0, 5.5}});
  EXPECT_NE(text.find("33.0 ms in channels-last order"), std::string::npos) << text;
  EXPECT_NE(text.find("18.5 ms in contiguous order"), std::string::npos) << text;
  EXPECT_NE(text.find("compare the whole step with precision.channels_last: false"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace resnext
