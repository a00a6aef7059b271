// Decodes, augments and prefetches one rank's batches with its own threads.
//
// Sample order comes from the sampler, augmentation is keyed by (seed, epoch, sample index):
// neither thread count, prefetch depth nor rank count changes what an image looks like or when it
// is used. Threads: the loader owns `threads` decoders; next() and start() are called by one thread
// (the training thread). No collectives. Errors of a decoder thread (DataError: damaged sample) are
// thrown from next().
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/augment/recipe.h"
#include "data/container/container.h"
#include "data/loader/batch.h"
#include "data/sampler.h"

namespace resnext {

// Side of the squares in the epochs before `until`, pixels; at most the recipe's.
struct EarlySize {
  int64_t until = 0;
  int64_t size = 0;
};

// The place of a process among those of its host, whose ranks are neighbours.
struct HostShare {
  int rank = 0;
  int size = 1;
};

// Told by each decoder thread, from 0, when it has worked on a few images.
using LoaderObserver =
    std::function<void(int64_t thread, int64_t images, std::chrono::steady_clock::time_point begin,
                       std::chrono::steady_clock::time_point end)>;

struct LoaderOptions {
  int rank = 0;
  int world_size = 1;
  HostShare host;            // with Shuffle::kBlock the ranks of a host share the reading ahead
  int64_t per_rank = 32;     // images of a micro-batch on one rank
  int64_t accumulation = 1;  // micro-batches of a step
  int64_t threads = 4;
  int64_t prefetch = 4;  // micro-batches held ready
  uint64_t seed = 1;
  bool training = true;  // training: shuffled, augmented, last partial global batch dropped,
                         // endless (the next epoch follows by itself).
                         // validation: ascending, every image exactly once, one epoch.
  Shuffle shuffle = Shuffle::kFull;
  int64_t repeats = 1;                 // copies of each sample in training (sampler.h)
  std::vector<EarlySize> early_sizes;  // training, in ascending order; behind them the recipe's
  HostAllocator allocate;              // empty: ordinary aligned memory
  LoaderObserver observer;             // empty: nobody
};

class DataLoader {
 public:
  // `container` must outlive the loader. Throws ConfigError when a training split holds fewer
  // images than one global batch, or when its threads cannot be started.
  DataLoader(const Container& container, const Recipe& recipe, const LoaderOptions& options);
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  // Global batches of an epoch: floor(count / global batch) in training, ceil in validation.
  int64_t steps_per_epoch() const;
  int64_t global_batch() const;

  // Drops what is prefetched and continues from `position`, in its order to the end of that epoch;
  // in training from the next epoch where the position's has no full batch left. Must be called
  // before the first next().
  void start(Position position);

  // The next micro-batch of this rank, in order; waits when none is ready. The batch that was
  // returned before becomes invalid.
  Batch next();

  // Bytes that were read ahead: in training with Shuffle::kBlock, where a window of the order
  // (sampler.h) is read while the one before it is used.
  uint64_t bytes_read_ahead() const;

  // Time that next() has spent waiting since the last call of this, milliseconds.
  double take_wait_ms();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnext
