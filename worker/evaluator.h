// Validation: loss and accuracy over a whole split, each image counted exactly once.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/communicator.h"
#include "model/resnext.h"
#include "worker/input/batch_input.h"
#include "worker/step/precision.h"

namespace resnext {

struct Accuracy {
  double loss = 0;     // mean cross entropy, without label smoothing
  double top1 = 0;     // percent
  double top5 = 0;     // percent; of all classes where there are fewer than 5
  int64_t images = 0;  // that were counted, over all ranks
};

// COLLECTIVE. Runs the network in evaluation mode over `input`'s split (from its start); sums over
// ranks are float64. The network's statistics must be equal on all ranks.
Accuracy evaluate(const ResNeXt& model, const Precision& precision, BatchInput& input,
                  Communicator& communicator, at::Device device);

}  // namespace resnext
