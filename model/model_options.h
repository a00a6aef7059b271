// Options of the network: which ResNeXt to build. Plain data, standard headers only.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace resnext {

// imagenet: depths 50, 101, 152, four stages. cifar: depth 9n+2, three stages of n blocks.
enum class Family { kImagenet, kCifar };

// Form of the bottleneck (Xie et al. 2017, arXiv 1611.05431, figure 3): C is one grouped
// convolution, B is `cardinality` separate paths that are concatenated, resnet is C without groups.
enum class Block { kC, kB, kResnet };

// Shortcut where shapes change (He et al. 2015, arXiv 1512.03385, section 3.3): A subsamples and
// pads channels with zeros, B is a 1x1 convolution with BN, C is that convolution on every block.
enum class Shortcut { kA, kB, kC };

// First convolution. 0 means the family's own: imagenet 7x7/2, 64 channels, then max pool 3x3/2;
// cifar 3x3/1, 64 channels, no pool. `width` is also the number of planes of the first stage
// (stage s has width * 2^s), so it scales the whole network.
enum class StemPool { kAuto, kOn, kOff };
struct StemOptions {
  int64_t kernel = 0;
  int64_t stride = 0;
  int64_t width = 0;
  StemPool pool = StemPool::kAuto;
};

// Whose images a batch normalisation takes its statistics over in training: one rank's, all ranks',
// or those of groups of ranks.
enum class Norm { kLocal, kSync, kGroup };

struct ModelOptions {
  Family family = Family::kImagenet;
  int64_t depth = 50;
  int64_t cardinality = 32;
  int64_t base_width = 4;  // channels of one path in the first stage when the stem has 64
  Block block = Block::kC;
  Shortcut shortcut = Shortcut::kB;
  int64_t classes = 0;  // 0: taken from the data set
  StemOptions stem;
  int64_t se_reduction = 0;  // squeeze-and-excitation behind each block; 0: none
  Norm norm = Norm::kLocal;
  int64_t norm_group = 0;         // of Norm::kGroup: ranks of a group
  bool zero_gamma = false;        // last BN scale of each block starts at 0 (Goyal et al. 2017)
  std::string pretrained;         // weights file to start from; empty: the seed's initialisation
  std::string pretrained_key;     // which of several sets of weights in `pretrained`
  bool reset_classifier = false;  // keep the new classifier when loading `pretrained`
  int64_t freeze = -1;            // the stem and so many stages are not trained; -1: all are
  int64_t recompute_stages = 0;   // the first n keep only their input and run again in backward
  double stochastic_depth = 0;    // rate at which the last block is left out; the first's is 0
  bool fused = true;  // BN, addition and ReLU in one pass; false, to compare with: one by one
  bool fused_convolutions = false;  // GPU: convolutions take BN's sums, where that is faster
};

}  // namespace resnext
