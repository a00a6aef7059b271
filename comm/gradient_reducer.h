// Sums gradients over all ranks in buckets, while backward still runs.
//
// Gradients are views into flat buckets (no copy in or out). A hook on each parameter fires when
// its gradient is complete; a bucket's all_reduce starts when its last gradient is complete and
// every bucket before it has started, so all ranks start buckets in the same order whatever the
// order in which hooks fire. During the first step buckets follow the reversed parameter order;
// the order in which gradients really became ready on rank 0 then rules all later steps, on all
// ranks (as PyTorch DDP, torch/csrc/distributed/c10d/reducer.hpp).
// The result is the SUM over ranks: the trainer divides the loss by world size, which makes it the
// mean without another pass over the gradients.
//
// With CommOptions::compress bf16 a bucket travels as bfloat16: each rank's gradients are rounded
// to 8 significant bits when the bucket is complete, and so is each sum of them; .grad is float32
// before and after, with the same bits on all ranks. In a world of one nothing travels or is
// rounded.
//
// On GPUs all work goes to the calling thread's current stream; the host waits for nothing.
// Threads: begin(), arm(), wait() on the training thread; hooks on any autograd thread.
// begin() and wait() are COLLECTIVE, in the same order on all ranks.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "comm/comm_options.h"
#include "comm/communicator.h"

namespace resnext {

// Gradients that are summed at once. Each starts at a multiple of 64 bytes, so that vector loads
// are aligned; the elements between them, and up to the next multiple at the end, are zero.
struct GradientBucket {
  at::Tensor flat;               // [elements]
  std::vector<int64_t> members;  // parameter indices
  std::vector<int64_t> offsets;  // of each member's gradient in `flat`, in elements
};

class GradientReducer {
 public:
  // `parameters`: dense float32 or float64 leaves, all of one dtype and device; their .grad is
  // taken over. `order`: indices of the parameters as order() gave them in an earlier run; empty
  // to learn it. `communicator` must outlive this. Throws ConfigError when gradients other than
  // float32 are to be compressed, CheckpointError when `order` is not one of these parameters.
  GradientReducer(Communicator& communicator, std::vector<at::Tensor> parameters,
                  const CommOptions& options, std::vector<int64_t> order = {});
  // Removes the hooks; gradients stay readable.
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  // Starts a step: zeroes all gradients (and after the first step rebuilds the buckets).
  void begin();
  // The next backward is the step's last: its gradients are to be summed as they become ready.
  // Backward passes before it (gradient accumulation) communicate nothing.
  void arm();
  // Returns when all gradients hold the sum over ranks. A parameter that got no gradient in this
  // step counts as zeros.
  void wait();

  // Tells of each bucket from the next wait() on, on its thread: `bucket` counts from 0 in the
  // order of buckets(). Only where the communicator knows when a collective completed.
  using Moment = std::chrono::steady_clock::time_point;
  using Observer = std::function<void(size_t bucket, Moment ready, Moment summed)>;
  void observe(Observer observer);

  // The order that rules the buckets, or will from the next step on; empty before the first step.
  const std::vector<int64_t>& order() const;
  // In the order in which they are summed. The tensors and members stay the same until
  // generation() changes.
  std::vector<GradientBucket> buckets() const;
  // How often buckets were built: 1 after construction, more after a begin() that rebuilt them.
  int64_t generation() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace resnext
