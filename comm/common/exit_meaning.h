// What exit codes mean, in the words of logs and tables. Pure.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "comm/common/error.h"

namespace resnext {

// "finished", "stopped on request", "the data cannot be used", ...
std::string_view meaning_of(ExitCode code);
// The same of any program's exit code: also "killed by signal 9" of 137, and "exit code 3".
std::string meaning_of(int exit_code);

}  // namespace resnext
