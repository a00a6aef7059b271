// The ranks over whose images a batch normalisation takes its statistics, seen from one of them.
//
// All ranks have batches of the same shape and ask the same, in the same order: forward in the
// order of the layers, backward in the order of their graph, on whichever thread runs it. Both
// functions are COLLECTIVE among these ranks. Tensors are dense and on the network's device, where
// nothing waits for the results.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

namespace resnext {

class NormRanks {
 public:
  virtual ~NormRanks() = default;

  virtual int size() const = 0;
  // [...] of each rank -> [size(), ...], the same bits everywhere.
  virtual at::Tensor gather(const at::Tensor& mine) = 0;
  // Makes `mine` the sum over ranks.
  virtual void sum(const at::Tensor& mine) = 0;
};

}  // namespace resnext
