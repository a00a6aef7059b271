// Which of a checkpoint's dicts are the weights: {"state_dict": ...}, {"model": ..., "model_ema":
// ...}, (weights, optimizer) and the like. Local; pure. Throws CheckpointError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "model/weights/pickle_value.h"

namespace resnext {

// The one dict of tensors in `root`, which may lie in dicts, lists and tuples. Dicts with less than
// half as many tensors as the largest do not count (a mean and a standard deviation, momenta of one
// layer). Where several are left, `key` names one: keys and indices from the outside in, with dots
// between them ("model_ema", "nets.0"), or what it lies in. `path` names the file in errors.
const PickleDict& choose_weights(const PickleValue& root, const std::string& key,
                                 const std::string& path);

}  // namespace resnext
