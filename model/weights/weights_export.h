// Weights for other programs, in the format that the file's ending names.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "model/weights/state_dict.h"

namespace resnext {

// Throws ConfigError that lists the known endings when `path` has none of them: .pt and .pth
// (torch.save), .safetensors.
void check_export_name(const std::string& path);

// Writes `state`, a network's, under torchvision's names (form B as form C), contiguous, dtypes as
// they are. `path` is old or new, never half. Local. Throws as check_export_name() and OutputError.
void export_weights(const StateDict& state, const std::string& path);

}  // namespace resnext
