// Weights for other programs, in the format that the file's ending names: .pt and .pth
// (torch.save), .safetensors.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "model/weights/state_dict.h"

namespace resnext {

// Whether the ending of `path` is one of these.
bool is_weights_name(const std::string& path);
// ".pt, .pth, .safetensors"
std::string weights_endings();

// Writes `state`, a network's, under torchvision's names (form B as form C), contiguous, dtypes as
// they are. `path` is old or new, never half. Local. The ending is a known one. Throws OutputError.
void export_weights(const StateDict& state, const std::string& path);

}  // namespace resnext
