// The order in which samples are used, and each rank's share of it.
//
// The global order depends on (seed, epoch) only, never on the rank count: step s of an epoch uses
// order[s*G, (s+1)*G) for a global batch of G images, and rank r of W takes the r-th of W equal,
// contiguous parts of it. Pure functions of their arguments; local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/data_options.h"

namespace resnext {

// Position in a run: the next step to take. Saved with a checkpoint; a loader started from it
// continues as if it had never stopped.
struct Cursor {
  int64_t epoch = 0;  // from 0
  int64_t step = 0;   // within the epoch, from 0
  bool operator==(const Cursor&) const = default;
};

class Sampler {
 public:
  // Samples 0..count-1. `shuffled` false gives ascending order (validation).
  Sampler(int64_t count, uint64_t seed, bool shuffled, Shuffle shuffle = Shuffle::kFull);

  int64_t count() const { return count_; }

  // Indices of all samples in the order of this epoch. Costs O(count).
  std::vector<int64_t> order(int64_t epoch) const;

 private:
  int64_t count_;
  uint64_t seed_;
  bool shuffled_;
  Shuffle shuffle_;
};

// Half-open range of positions in the epoch's order.
struct Share {
  int64_t begin = 0;
  int64_t end = 0;
};

// Rank's share of global batch `step`. A last, partial batch is split as evenly as possible, its
// first ranks one larger, so that each of its samples belongs to exactly one rank.
Share share_of_rank(int64_t count, int64_t global_batch, int64_t step, int rank, int world_size);

}  // namespace resnext
