// One micro-batch of one rank, as the loader hands it to the training step.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "data/image/image.h"

namespace resnext {

// Host memory for pixels, `bytes` long, aligned to 64. A GPU run passes one that gives pinned
// memory; the default is ordinary memory. Called by the loader's constructor only.
using HostAllocator = std::function<std::shared_ptr<std::byte>(size_t bytes)>;

// RGB pixels [crops, count, size, size, 3] (NHWC, not normalised) and int64 labels [count].
// Owned by the loader: valid until the next call of next(), so a step reads or copies it before.
struct Batch {
  const uint8_t* pixels = nullptr;  // the bytes of `element`s
  const int64_t* labels = nullptr;
  int64_t count = 0;   // 0 on a rank that has no image in the last global batch of a validation
  int64_t crops = 1;   // squares of each image
  int64_t size = 0;    // height and width
  uint64_t tally = 0;  // of the images (sampler.h)
  PixelElement element = PixelElement::kUint8;
};

}  // namespace resnext
