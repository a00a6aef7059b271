// load_state_dict() of a file that is open, or in memory.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "model/weights/state_dict.h"
#include "model/weights/weights_input.h"

namespace resnext {

// As load_state_dict(): torch.save()'s formats, safetensors and Torch7's, told by their content.
StateDict read_weights(WeightsInput input, const std::string& key);

}  // namespace resnext
