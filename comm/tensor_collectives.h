// Collectives on tensors: start values from rank 0, and the mean of many small tensors at once.
//
// Tensors are dense (any memory format; the same on all ranks) and live where the communicator's
// backend works. All but as_buffer() are COLLECTIVE.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "comm/communicator.h"

namespace resnext {

// The tensor's memory as it lies. Local; throws Error (70) for a dtype that is not communicated.
Buffer as_buffer(const at::Tensor& tensor);

// Rank 0's values into everybody's tensors.
void broadcast_tensors(Communicator& communicator, const std::vector<at::Tensor>& tensors);

// Keeps small tensors of one dtype (BN statistics, loss, flags) equal on all ranks: they become
// views of one flat tensor, whose mean over ranks costs one all_reduce.
class TensorAverager {
 public:
  TensorAverager(Communicator& communicator, std::vector<at::Tensor> tensors);
  ~TensorAverager();
  TensorAverager(const TensorAverager&) = delete;
  TensorAverager& operator=(const TensorAverager&) = delete;

  // Starts averaging; the tensors must not be touched until wait().
  void start();
  void wait();

  // Remembers all values; restore_where() brings them back where `condition` ([], on the device) is
  // not zero (a step that is not to count), without the host looking at it. Local.
  void remember();
  void restore_where(const at::Tensor& condition);

 private:
  Communicator& communicator_;
  at::Tensor flat_;
  at::Tensor remembered_;
  Ticket ticket_ = 0;
  bool in_flight_ = false;
};

}  // namespace resnext
