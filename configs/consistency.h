// Checks that need more than one key: does the configuration as a whole make sense?
//
// Local; pure function of its arguments.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "configs/run_config.h"

namespace resnext {

// Where a key was given (FILE:LINE:COLUMN or an override), for messages.
using KeyLocation = std::function<std::string(std::string_view key)>;

// Throws ConfigError with the location of the key to change, the contradiction and the remedy.
// Each value is taken to be in its own range.
void check_consistency(const RunConfig& config, const KeyLocation& where);

}  // namespace resnext
