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

#include "data/batch.h"
#include "data/container.h"
#include "data/recipe.h"
#include "data/sampler.h"

namespace resnext {

// Told by each decoder thread, from 0, when it has worked on a few images.
using LoaderObserver =
    std::function<void(int64_t thread, int64_t images, std::chrono::steady_clock::time_point begin,
                       std::chrono::steady_clock::time_point end)>;

struct LoaderOptions {
  int rank = 0;
  int world_size = 1;
  int64_t per_rank = 32;     // images of a micro-batch on one rank
  int64_t accumulation = 1;  // micro-batches of a step
  int64_t threads = 4;
  int64_t prefetch = 4;  // micro-batches held ready
  uint64_t seed = 1;
  bool training = true;  // training: shuffled, augmented, last partial global batch dropped,
                         // endless (the next epoch follows by itself).
                         // validation: ascending, every image exactly once, one epoch.
  Shuffle shuffle = Shuffle::kFull;
  HostAllocator allocate;   // empty: ordinary aligned memory
  LoaderObserver observer;  // empty: nobody
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

  // Drops what is prefetched and continues from `position`; in training from the next epoch where
  // the position's has no full batch left. Must be called before the first next().
  void start(Position position);

  // The next micro-batch of this rank, in order; waits when none is ready. The batch that was
  // returned before becomes invalid.
  Batch next();

  // Time that next() has spent waiting since the last call of this, milliseconds.
  double take_wait_ms();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnext
