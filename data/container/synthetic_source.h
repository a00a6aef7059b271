// Images and labels that are made, not read: for measuring how fast a machine trains.
//
// Image i of a split is `side` x `side` random bytes (RGB), its label i modulo the number of
// classes: pure functions of the place, the same on all ranks and at every start. Making an image
// costs about as much as copying it. Nothing can be learned from them.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/container/sample_source.h"

namespace resnext {

struct SyntheticSet {
  int64_t images = 1;
  int64_t classes = 1;
  int64_t side = 1;    // pixels
  uint64_t split = 0;  // sets of other splits have other images
};

std::vector<int64_t> synthetic_labels(const SyntheticSet& set);

// Raw samples, uint8 [side, side, 3].
std::unique_ptr<SampleSource> synthetic_source(const SyntheticSet& set);

}  // namespace resnext
