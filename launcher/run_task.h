// `resnext_launcher run`: from the command line to the exit code.
//
// Holds the run folder's launcher.lock from before the data is copied until the run has ended.
// Local. Throws ConfigError, DataError and OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "launcher/command_line.h"
#include "launcher/signal_inbox.h"

namespace resnext {

int execute(const RunTask& task, SignalInbox& inbox);

}  // namespace resnext
