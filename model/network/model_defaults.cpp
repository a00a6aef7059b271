// Stem defaults, stages and widths of the two families.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/model_defaults.h"

#include <algorithm>
#include <string>

#include "comm/common/error.h"

namespace resnext {

ModelOptions resolve_defaults(ModelOptions options) {
  const bool imagenet = options.family == Family::kImagenet;
  StemOptions& stem = options.stem;
  if (stem.kernel == 0) stem.kernel = imagenet ? 7 : 3;
  if (stem.stride == 0) stem.stride = imagenet ? 2 : 1;
  if (stem.width == 0) stem.width = kFullStemWidth;
  if (stem.pool == StemPool::kAuto) stem.pool = imagenet ? StemPool::kOn : StemPool::kOff;
  return options;
}

std::vector<int64_t> stage_blocks(const ModelOptions& options) {
  const int64_t depth = options.depth;
  if (options.family == Family::kCifar) {
    if (depth >= 11 && (depth - 2) % 9 == 0) return std::vector<int64_t>(3, (depth - 2) / 9);
    throw ConfigError("model.depth", "family cifar has no depth " + std::to_string(depth),
                      "use 9n+2, such as 11, 20 or 29");
  }
  if (depth == 50) return {3, 4, 6, 3};
  if (depth == 101) return {3, 4, 23, 3};
  if (depth == 152) return {3, 8, 36, 3};
  throw ConfigError("model.depth", "family imagenet has no depth " + std::to_string(depth),
                    "use 50, 101 or 152");
}

void check_recompute_stages(const ModelOptions& options) {
  const auto stages = static_cast<int64_t>(stage_blocks(options).size());
  if (options.recompute_stages >= 0 && options.recompute_stages <= stages) return;
  throw ConfigError("model.recompute_stages",
                    std::to_string(options.recompute_stages) +
                        " stages are to be recomputed, but the network has " +
                        std::to_string(stages),
                    "use 0 to " + std::to_string(stages));
}

int64_t stage_planes(const ModelOptions& options, int64_t stage) {
  return options.stem.width << stage;
}

int64_t inner_width(const ModelOptions& options, int64_t stage) {
  const int64_t planes = stage_planes(options, stage);
  if (options.block == Block::kResnet) return planes;
  const int64_t path = planes * options.base_width / kFullStemWidth;
  if (path > 0) return path * options.cardinality;
  throw ConfigError("model.base_width",
                    "base width " + std::to_string(options.base_width) + " at " +
                        std::to_string(planes) + " planes leaves a path without channels",
                    "use a larger model.base_width or model.stem.width");
}

int64_t block_groups(const ModelOptions& options) {
  return options.block == Block::kResnet ? 1 : options.cardinality;
}

int64_t squeezed_channels(const ModelOptions& options, int64_t channels) {
  constexpr int64_t kMultiple = 8;
  const int64_t reduction = options.se_reduction;
  if (reduction < 1) {
    throw ConfigError("model.se_reduction", std::to_string(reduction) + " divides no channels",
                      "use 16, or 0 for no squeeze-and-excitation");
  }
  const int64_t multiples = (channels + kMultiple / 2 * reduction) / (kMultiple * reduction);
  return kMultiple * std::max<int64_t>(1, multiples);
}

}  // namespace resnext
