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
// Threads: begin(), arm(), wait() on the training thread; hooks on any autograd thread.
// begin() and wait() are COLLECTIVE, in the same order on all ranks.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/comm_options.h"
#include "comm/communicator.h"

namespace resnext {

class GradientReducer {
 public:
  // `parameters`: dense float32 or float64 leaves, all of one dtype and device; their .grad is
  // taken over. `order`: indices of the parameters as order() gave them in an earlier run; empty
  // to learn it. `communicator` must outlive this.
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

  // The order that rules the buckets, or will from the next step on; empty before the first step.
  const std::vector<int64_t>& order() const;
  // Bytes of each bucket, in the order in which they are summed.
  std::vector<int64_t> bucket_bytes() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace resnext
