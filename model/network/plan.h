// The network described once: its layers, what each takes, and the tensors that each owns.
//
// Whoever needs to know the network reads this: ResNeXt builds and runs it, cost.h sums it up,
// names in weights files are its names. A change of the architecture is a change of plan.cpp. Pure
// data from the options alone (no Torch), for images of any size. Xie et al. 2017 (arXiv
// 1611.05431), figure 3 and table 1; arithmetic as fb.resnet.torch models/resnext.lua: a block is
// 1x1 to the inner width, 3x3 with the stride, 1x1 to four times the planes, BN after each
// convolution and ReLU after each BN, the last after the addition. Form C: one grouped 3x3. Form B:
// `cardinality` separate paths of 1x1 and 3x3, concatenated. Names are torchvision's
// (torchvision/models/resnet.py); form B has paths.<j>.{conv1,bn1,conv2,bn2} instead of
// {conv1,bn1,conv2,bn2}.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_options.h"

namespace resnext {

// kZeroPad is shortcut A: subsampling, then channels of zeros. kAddition adds its second input to
// its first, in place. kAveragePool is the mean over all pixels. kScale multiplies the channels of
// its first input by its second, one value a channel.
enum class LayerKind {
  kConvolution,
  kBatchNorm,
  kMaxPool,
  kZeroPad,
  kConcatenation,
  kAddition,
  kScale,
  kAveragePool,
  kLinear
};

enum class Activation { kNone, kRelu, kSigmoid };

struct PlannedTensor {
  std::string name;  // "layer1.0.conv2.weight"
  std::vector<int64_t> shape;
  bool is_parameter = true;  // else a buffer

  int64_t elements() const;
};

// In place of a layer, as an input: the images.
inline constexpr int64_t kImages = -1;
inline constexpr int64_t kImageChannels = 3;

// One layer. Convolutions are padded by kernel / 2, as pools are; the linear layer has a bias.
struct PlannedLayer {
  std::string name;  // "layer1.0.conv2"
  LayerKind kind = LayerKind::kConvolution;
  int64_t in_channels = 0;  // of its first input
  int64_t out_channels = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t groups = 1;
  int64_t stage = 0;                          // 1, 2, ... as in the name; 0: stem or classifier
  std::vector<int64_t> inputs{};              // places of earlier layers in the plan, or kImages
  Activation activation = Activation::kNone;  // of its output
  bool bias = false;                          // convolution
  bool zero_gamma = false;                    // BN: its scale starts at 0
  double drop_rate = 0;  // addition: share of the images that it adds nothing to in training
  int64_t block = 0;     // addition: its number among all
  bool joins_the_addition = false;  // BN: one operation with the addition that alone reads it

  int64_t padding() const { return kernel / 2; }
  std::vector<PlannedTensor> tensors() const;  // in state_dict order
};

struct LayerRange {
  size_t begin = 0, end = 0;
};

struct NetworkPlan {
  // In forward and in state_dict order; the last one's output is the network's.
  std::vector<PlannedLayer> layers;
  // A stage's layers read each other and the output of the layer before the stage.
  std::vector<LayerRange> stages;

  // How many layers read the output of each one.
  std::vector<int> readers() const;
};

// Throws ConfigError for options that no network has, and where the classes are not known.
NetworkPlan plan_network(const ModelOptions& options);

}  // namespace resnext
