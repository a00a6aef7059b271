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
// (DataError) of any rank is thrown by all. `look` sees each batch's labels int64 [N] and its
// likeliest classes int64 [N, 5 or all].
using LookAtBatch = std::function<void(const at::Tensor& labels, const at::Tensor& best)>;
std::optional<Accuracy> evaluate(const ResNeXt& model, const Precision& precision,
                                 BatchInput& input, Communicator& communicator, at::Device device,
                                 const std::function<bool()>& stop, const LookAtBatch& look = {});

// f of a batch's images [crops * N, 3, H, W], crop by crop, and its mean over the crops: [N, ...].
// Of logits it has the order of the sum over crops (Krizhevsky et al. 2012). Local; no gradients.
at::Tensor mean_over_crops(const Input& input, const Precision& precision,
                           const std::function<at::Tensor(const at::Tensor& images)>& f);

}  // namespace resnext
