// Stochastic depth: in training, blocks that count nothing for some of the images.
//
// Huang et al. 2016 (arXiv 1603.09382) as timm's DropPath does it, for each image by itself: with
// its block's rate the image has only the shortcut, else the block's branch times 1 / (1 - rate).
// The rate grows from 0 in the first block to its full value in the last, linearly with the block's
// number. What happens to an image depends on a key and on the image's number alone, and is worked
// out on the device, so that it is the same on any number of ranks, and a captured graph follows it
// without a wait. Handles: copies share the numbers. Local; one thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/network/plan.h"

namespace resnext {

class StochasticDepth {
 public:
  // Of the plan's blocks, in their order.
  StochasticDepth(const NetworkPlan& plan, at::Device device);

  bool enabled() const { return enabled_; }
  void to(at::Device device);

  // The images from now on are number `first`, first + 1, ... of what `key` stands for.
  void use(uint64_t key, int64_t first);

  // What each block's branch is multiplied with: float64 [blocks, images].
  at::Tensor scales(int64_t images) const;

 private:
  bool enabled_ = false;
  at::Tensor limits_;       // int64 [blocks, 1]: rate * 2^53
  at::Tensor kept_;         // float64 [blocks, 1]: 1 / (1 - rate)
  at::Tensor blocks_;       // int64 [blocks, 1]: 0, 1, ...
  at::Tensor key_, first_;  // int64 []
};

}  // namespace resnext
