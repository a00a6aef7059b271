// Form B of a block, separate paths, and form C, one grouped convolution, are the same function
// (Xie et al. 2017, arXiv 1611.05431, figure 3): the paths' weights, joined along their outputs,
// are form C's. Here weights are turned from one into the other. Local; pure.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "model/weights/state_dict.h"

namespace resnext {

// "layer1.0.paths.J.conv1.weight" for all J become "layer1.0.conv1.weight", at the place of J = 0;
// other tensors stay. Values are copied where they are joined.
StateDict in_form_c(const StateDict& state);

// `state` in the form that `model` has, B or C. What cannot be split stays as it is.
StateDict in_form_of(const StateDict& model, const StateDict& state);

}  // namespace resnext
