// Validation: loss and accuracy over a whole split, each image counted exactly once.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <optional>

#include "comm/communicator.h"
#include "model/network/resnext.h"
#include "worker/input/batch_input.h"
#include "worker/record/accuracy.h"
#include "worker/step/precision.h"

namespace resnext {

// COLLECTIVE. Runs the network in evaluation mode over `input`'s split (from its start); sums over
// ranks are float64. The network's statistics must be equal on all ranks. None when `stop` said
// true on any rank: that rank has left its part undone. A damaged image
// (DataError) of any rank is thrown by all.
std::optional<Accuracy> evaluate(const ResNeXt& model, const Precision& precision,
                                 BatchInput& input, Communicator& communicator, at::Device device,
                                 const std::function<bool()>& stop);

}  // namespace resnext
