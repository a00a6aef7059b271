// Takes a loader's batches to the device and normalises them.
//
// On a GPU a batch is copied from pinned memory on a stream of its own, while the device still
// works on the step before: the host runs ahead of it (worker/step/step_reports.h). One kernel then
// makes the images. Those of one size always lie in the same memory, as a captured graph needs it.
// Local;
// belongs to the training thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "data/loader/data_loader.h"
#include "worker/input/pixels.h"

namespace resnext {

// One micro-batch on the device; valid until the next one is asked for.
struct Input {
  at::Tensor images;  // [crops * count, 3, size, size], as the network takes it; crop by crop
  at::Tensor labels;  // int64 [count]
  int64_t count = 0;
  uint64_t tally = 0;  // of the images (data/sampler.h)
};

// Pinned memory for a loader whose batches go to a GPU; empty for the CPU.
HostAllocator host_allocator(at::Device device);

class BatchInput {
 public:
  BatchInput(std::unique_ptr<DataLoader> loader, PixelNormaliser normalise, at::Device device);
  ~BatchInput();
  BatchInput(const BatchInput&) = delete;
  BatchInput& operator=(const BatchInput&) = delete;

  // Continues from `position`; before the first next().
  void start(Position position);
  // The loader's next micro-batch, as work of the current stream; waits for the loader alone.
  // Throws DataError.
  Input next();

 private:
  struct Transfer;

  void make_room(const Batch& batch);

  std::unique_ptr<DataLoader> loader_;
  PixelNormaliser normalise_;
  Input input_;
  std::unique_ptr<Transfer> transfer_;  // to a GPU; null on the CPU
};

}  // namespace resnext
