// `resnext_launcher run`: from the command line to the exit code.
//
// Local. Throws ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "launcher/command_line.h"

namespace resnext {

int execute(const RunTask& task);

}  // namespace resnext
