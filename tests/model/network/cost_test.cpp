// Cost against published parameter counts, torchvision's tables and hand-worked closed forms.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/cost.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "comm/common/error.h"
#include "model/network/model_defaults.h"
#include "tests/model/network/networks.h"

namespace resnext {
namespace {

using test::cifar;
using test::imagenet;

const LayerShape& layer(const std::vector<LayerShape>& layers, const std::string& name) {
  const auto found = std::ranges::find(layers, name, &LayerShape::name);
  if (found == layers.end()) throw std::out_of_range(name);
  return *found;
}

struct Row {
  ModelOptions options;
  int64_t image_size;
  int64_t parameters;
  int64_t tensors;
  double gradient_mib;  // as printed, one decimal
  double gmac;          // as printed, two decimals
};

// Parameters of 50 32x4d, 101 32x8d and 101 64x4d: torchvision's model documentation; cifar 34.4 M
// and 68.1 M: arXiv 1611.05431, table 7. The rest: the same arithmetic on the paper's table 3.
TEST(Cost, MatchesThePublishedTable) {
  const Row rows[] = {
      {imagenet(50, 1, 64), 224, 25'557'032, 161, 97.5, 4.09},
      {imagenet(50, 2, 40), 224, 25'425'000, 161, 97.0, 4.12},
      {imagenet(50, 4, 24), 224, 25'292'968, 161, 96.5, 4.16},
      {imagenet(50, 8, 14), 224, 25'603'016, 161, 97.7, 4.27},
      {imagenet(50, 32, 4), 224, 25'028'904, 161, 95.5, 4.23},
      {imagenet(101, 1, 64), 224, 44'549'160, 314, 169.9, 7.80},
      {imagenet(101, 2, 40), 224, 44'456'296, 314, 169.6, 7.84},
      {imagenet(101, 4, 24), 224, 44'363'432, 314, 169.2, 7.89},
      {imagenet(101, 8, 14), 224, 45'104'328, 314, 172.1, 8.08},
      {imagenet(101, 32, 4), 224, 44'177'704, 314, 168.5, 7.97},
      {imagenet(101, 32, 8), 224, 88'791'336, 314, 338.7, 16.41},
      {imagenet(101, 64, 4), 224, 83'455'272, 314, 318.4, 15.46},
      {imagenet(152, 32, 4), 224, 59'951'400, 467, 228.7, 11.71},
      {imagenet(152, 64, 4), 224, 114'971'944, 467, 438.6, 22.94},
      {cifar(29, 8, 64), 32, 34'426'698, 95, 131.3, 5.39},
      {cifar(29, 16, 64), 32, 68'155'210, 95, 260.0, 10.69},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(std::to_string(row.options.depth) + " " + std::to_string(row.options.cardinality) +
                 "x" + std::to_string(row.options.base_width) + "d");
    const Cost cost = model_cost(row.options, row.image_size);
    EXPECT_EQ(cost.parameters, row.parameters);
    EXPECT_EQ(cost.parameter_tensors, row.tensors);
    EXPECT_EQ(cost.buffer_tensors, row.tensors - 2);  // three a BN; 2 BN + convolution, 2 fc
    EXPECT_EQ(cost.gradient_bytes, 4 * row.parameters);
    EXPECT_EQ(std::round(cost.gradient_bytes / 1048576.0 * 10), std::round(row.gradient_mib * 10));
    EXPECT_EQ(std::round(cost.gmac * 100), std::round(row.gmac * 100));
  }
}

TEST(Cost, FormsBAndCCostTheSame) {
  ModelOptions b = imagenet(50, 32, 4);
  b.block = Block::kB;
  const Cost form_b = model_cost(b, 224);
  const Cost form_c = model_cost(imagenet(50, 32, 4), 224);
  EXPECT_EQ(form_b.parameters, form_c.parameters);
  EXPECT_EQ(form_b.parameter_tensors, form_c.parameter_tensors);
  EXPECT_EQ(form_b.gmac, form_c.gmac);
}

TEST(Cost, BlockResnetIgnoresCardinalityAndWidth) {
  ModelOptions resnet = imagenet(50, 32, 4);
  resnet.block = Block::kResnet;
  EXPECT_EQ(model_cost(resnet, 224).parameters, 25'557'032);  // torchvision's resnet50
  EXPECT_EQ(layer(layer_shapes(resnet, 224), "layer1.0.conv2").groups, 1);
}

// Shortcut A drops the four projections; C projects in the other blocks too.
TEST(Cost, ShortcutsDifferByTheirProjections) {
  const auto projection = [](int64_t in, int64_t out) { return in * out + 2 * out; };
  ModelOptions options = imagenet(50, 32, 4);
  const Cost b = model_cost(options, 224);
  options.shortcut = Shortcut::kA;
  const Cost a = model_cost(options, 224);
  options.shortcut = Shortcut::kC;
  const Cost c = model_cost(options, 224);
  EXPECT_EQ(b.parameters - a.parameters, projection(64, 256) + projection(256, 512) +
                                             projection(512, 1024) + projection(1024, 2048));
  EXPECT_EQ(b.parameter_tensors - a.parameter_tensors, 4 * 3);
  EXPECT_EQ(c.parameters - b.parameters, 2 * projection(256, 256) + 3 * projection(512, 512) +
                                             5 * projection(1024, 1024) +
                                             2 * projection(2048, 2048));
  EXPECT_EQ(c.parameter_tensors - b.parameter_tensors, 12 * 3);
}

// cifar depth 11, one block a stage, stem width 16: inner widths floor(16 * 16 / 64) * 2 = 8, 16,
// 32; outputs 64, 128, 256. Every term is written out by hand.
TEST(Cost, NarrowStemByHand) {
  ModelOptions options = cifar(11, 2, 16);
  options.stem = {5, 2, 16, StemPool::kOn};
  const int64_t stem = 3 * 16 * 25 + 2 * 16;
  const int64_t first = 16 * 8 + 2 * 8 + 4 * 8 * 9 + 2 * 8 + 8 * 64 + 2 * 64 + 16 * 64 + 2 * 64;
  const int64_t second =
      64 * 16 + 2 * 16 + 8 * 16 * 9 + 2 * 16 + 16 * 128 + 2 * 128 + 64 * 128 + 2 * 128;
  const int64_t third =
      128 * 32 + 2 * 32 + 16 * 32 * 9 + 2 * 32 + 32 * 256 + 2 * 256 + 128 * 256 + 2 * 256;
  const int64_t classifier = 256 * 10 + 10;
  const Cost cost = model_cost(options, 32);
  EXPECT_EQ(cost.parameters, stem + first + second + third + classifier);
  EXPECT_EQ(cost.parameter_tensors, 3 + 3 * 12 + 2);

  // 32 -> stem 16 -> pool 8; stage 2 and 3 halve it in their 3x3 and their projection.
  const int64_t macs = 1200 * 256 + (128 + 288 + 512 + 1024) * 64 + 1024 * 64 +
                       (1152 + 2048 + 8192) * 16 + 4096 * 16 + (4608 + 8192 + 32768) * 4 + 2560;
  EXPECT_DOUBLE_EQ(cost.gmac, static_cast<double>(macs) / 1e9);

  // Kept: image; stem conv and BN; pool with indices; of each block, outputs of three convolutions
  // and their BN (twice each), and of the projection (once); the pooled features.
  const int64_t floats = 3 * 1024 + 2 * 16 * 256 + 16 * 64 + (2 * (8 + 8 + 64) + 64) * 64 +
                         2 * 16 * 64 + (2 * (16 + 128) + 128) * 16 + 2 * 32 * 16 +
                         (2 * (32 + 256) + 256) * 4 + 256;
  EXPECT_EQ(cost.activation_bytes, 4 * floats + 8 * 16 * 64);
}

// The network of NarrowStemByHand, without the pool: what each stage keeps, and what remains of it
// when it is recomputed (its output), in floats.
TEST(Cost, RecomputedStagesKeepTheirInputsAndTheLargestSecondRun) {
  ModelOptions options = cifar(11, 2, 16);
  options.stem = {5, 2, 16, StemPool::kOff};
  const int64_t stem = 3 * 1024 + 2 * 16 * 256, classifier = 256;
  const int64_t own[] = {(2 * (8 + 8 + 64) + 64) * 256, 2 * 16 * 256 + (2 * (16 + 128) + 128) * 64,
                         2 * 32 * 64 + (2 * (32 + 256) + 256) * 16};
  const int64_t output[] = {64 * 256, 128 * 64, 256 * 16};
  const auto floats = [&](int64_t stages) {
    options.recompute_stages = stages;
    return model_cost(options, 32).activation_bytes / 4;
  };
  EXPECT_EQ(floats(0), stem + own[0] + own[1] + own[2] + classifier);
  const int64_t first_again = stem + own[0], second_again = stem + output[0] + own[1];
  const int64_t third_again = stem + output[0] + output[1] + own[2];
  EXPECT_EQ(floats(1), std::max(stem + output[0] + own[1] + own[2] + classifier, first_again));
  EXPECT_EQ(floats(2), std::max({stem + output[0] + output[1] + own[2] + classifier, first_again,
                                 second_again}));
  EXPECT_EQ(floats(3), std::max({stem + output[0] + output[1] + output[2] + classifier, first_again,
                                 second_again, third_again}));
  EXPECT_LT(floats(1), floats(0));
}

TEST(Cost, RecomputingChangesMemoryOnly) {
  ModelOptions options = imagenet(50, 32, 4);
  const Cost without = model_cost(options, 224);
  options.recompute_stages = 4;
  const Cost with = model_cost(options, 224);
  EXPECT_EQ(with.parameters, without.parameters);
  EXPECT_EQ(with.gmac, without.gmac);
  EXPECT_LT(with.activation_bytes, without.activation_bytes);
  options.recompute_stages = 5;
  EXPECT_THROW(model_cost(options, 224), ConfigError);
}

TEST(Cost, WidthsOfAPathAreRoundedDown) {
  ModelOptions options = cifar(11, 4, 10);
  options.stem.width = 16;  // 16 * 10 / 64 = 2.5, 32 * 10 / 64 = 5, 64 * 10 / 64 = 10
  const auto layers = layer_shapes(options, 32);
  EXPECT_EQ(layer(layers, "layer1.0.conv2").out_channels, 2 * 4);
  EXPECT_EQ(layer(layers, "layer2.0.conv2").out_channels, 5 * 4);
  EXPECT_EQ(layer(layers, "layer3.0.conv2").out_channels, 10 * 4);
}

TEST(LayerShapes, FollowTorchvision) {
  const auto layers = layer_shapes(imagenet(50, 32, 4), 224);
  EXPECT_EQ(layers.front().name, "conv1");
  EXPECT_EQ(layers.front().output_side, 112);
  EXPECT_EQ(layers[2].name, "maxpool");
  EXPECT_EQ(layers[2].output_side, 56);
  const LayerShape& grouped = layer(layers, "layer2.0.conv2");
  EXPECT_EQ(grouped.in_channels, 256);
  EXPECT_EQ(grouped.out_channels, 256);
  EXPECT_EQ(grouped.groups, 32);
  EXPECT_EQ(grouped.stride, 2);
  EXPECT_EQ(grouped.output_side, 28);
  const LayerShape& projection = layer(layers, "layer4.0.downsample.0");
  EXPECT_EQ(projection.in_channels, 1024);
  EXPECT_EQ(projection.out_channels, 2048);
  EXPECT_EQ(projection.stride, 2);
  EXPECT_EQ(projection.output_side, 7);
  EXPECT_THROW(layer(layers, "layer1.1.downsample.0"), std::out_of_range);
  EXPECT_EQ(layers.back().name, "fc");
  EXPECT_EQ(layers.back().in_channels, 2048);
}

// Each layer takes what the one before it gives, except the projections, which take the block's
// input; names are unique.
TEST(LayerShapes, AreAChain) {
  for (const Shortcut shortcut : {Shortcut::kA, Shortcut::kB, Shortcut::kC}) {
    ModelOptions options = imagenet(101, 64, 4);
    options.shortcut = shortcut;
    std::set<std::string> names;
    int64_t channels = 3;
    for (const LayerShape& shape : layer_shapes(options, 160)) {
      EXPECT_TRUE(names.insert(shape.name).second) << shape.name;
      const bool projects =
          shape.name.ends_with("downsample") || shape.name.ends_with("downsample.0");
      if (!projects) {
        EXPECT_EQ(shape.in_channels, channels) << shape.name;
      }
      EXPECT_EQ(shape.in_channels % shape.groups, 0) << shape.name;
      EXPECT_EQ(shape.out_channels % shape.groups, 0) << shape.name;
      channels = shape.out_channels;
    }
  }
}

TEST(LayerShapes, SmallAndOddImagesKeepAtLeastOnePixel) {
  for (const int64_t size : {1, 2, 7, 33, 225}) {
    for (const LayerShape& shape : layer_shapes(imagenet(50, 32, 4), size)) {
      EXPECT_GE(shape.output_side, 1) << shape.name << " at " << size;
    }
  }
}

TEST(Defaults, FillOnlyWhatIsLeftToTheFamily) {
  ModelOptions options = resolve_defaults(imagenet(50, 32, 4));
  EXPECT_EQ(options.stem.kernel, 7);
  EXPECT_EQ(options.stem.stride, 2);
  EXPECT_EQ(options.stem.width, 64);
  EXPECT_EQ(options.stem.pool, StemPool::kOn);
  options = cifar(29, 8, 64);
  options.stem.stride = 2;
  options = resolve_defaults(options);
  EXPECT_EQ(options.stem.kernel, 3);
  EXPECT_EQ(options.stem.stride, 2);
  EXPECT_EQ(options.stem.width, 64);
  EXPECT_EQ(options.stem.pool, StemPool::kOff);
}

TEST(Defaults, StagesOfEachDepth) {
  EXPECT_EQ(stage_blocks(imagenet(50, 1, 64)), (std::vector<int64_t>{3, 4, 6, 3}));
  EXPECT_EQ(stage_blocks(imagenet(101, 1, 64)), (std::vector<int64_t>{3, 4, 23, 3}));
  EXPECT_EQ(stage_blocks(imagenet(152, 1, 64)), (std::vector<int64_t>{3, 8, 36, 3}));
  EXPECT_EQ(stage_blocks(cifar(29, 1, 64)), (std::vector<int64_t>{3, 3, 3}));
}

TEST(Defaults, ImpossibleNetworksAreRefused) {
  EXPECT_THROW(model_cost(imagenet(34, 32, 4), 224), ConfigError);
  EXPECT_THROW(model_cost(cifar(30, 32, 4), 32), ConfigError);
  EXPECT_THROW(model_cost(cifar(2, 32, 4), 32), ConfigError);
  EXPECT_THROW(model_cost(imagenet(50, 32, 4), 0), ConfigError);
  ModelOptions options = imagenet(50, 32, 4);
  options.classes = 0;
  EXPECT_THROW(model_cost(options, 224), ConfigError);
  options = cifar(11, 2, 4);
  options.stem.width = 8;  // 8 * 4 / 64 < 1
  EXPECT_THROW(model_cost(options, 32), ConfigError);
}

}  // namespace
}  // namespace resnext
