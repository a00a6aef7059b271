// The numbers that follow from a network's options: the family's stem, blocks a stage, widths.
//
// Pure functions; std only. Sources: Xie et al. 2017, arXiv 1611.05431, table 1 and section 5.3
// (the seed's models/resnext.lua has the same).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "model/model_options.h"

namespace resnext {

// Width of the stem at which `base_width` is counted.
inline constexpr int64_t kFullStemWidth = 64;

// A block's output has this many times the stage's planes.
inline constexpr int64_t kExpansion = 4;

// Fills what the stem leaves to the family: imagenet 7x7/2, 64 channels, pool; cifar 3x3/1, 64, no
// pool. Classes stay as they are. Idempotent.
ModelOptions resolve_defaults(ModelOptions options);

// Blocks of each stage: imagenet {3, 4, 6, 3} for 50, ...; cifar three times (depth - 2) / 9.
// Throws ConfigError for a depth that the family does not have.
std::vector<int64_t> stage_blocks(const ModelOptions& options);

// Throws ConfigError when options.recompute_stages are not 0 up to as many as there are.
void check_recompute_stages(const ModelOptions& options);

// Planes of stage 0, 1, ...: the stem's width, doubled each stage. Options resolved.
int64_t stage_planes(const ModelOptions& options, int64_t stage);

// Channels of the 3x3 convolution, all paths together: floor(planes * base_width / 64) *
// cardinality, or planes for block resnet. Options resolved. Throws ConfigError when a path would
// have none.
int64_t inner_width(const ModelOptions& options, int64_t stage);

// Groups of the 3x3 convolution (paths, in form B).
int64_t block_groups(const ModelOptions& options);

// Channels between the two layers of a squeeze-and-excitation gate of `channels`: channels /
// se_reduction to the nearest multiple of 8, at least 8 (timm/layers/helpers.py, make_divisible).
// Throws ConfigError for a reduction below 1.
int64_t squeezed_channels(const ModelOptions& options, int64_t channels);

}  // namespace resnext
