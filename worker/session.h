// One call of the worker from configuration to exit code: what each action does.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/common/error.h"
#include "comm/mpi_environment.h"
#include "worker/command_line.h"

namespace resnext {

// COLLECTIVE. Reads the configuration, opens the data, then trains, evaluates or prints. Results go
// to standard output of rank 0. Throws the typed errors.
ExitCode run_session(const CommandLine& line, const MpiEnvironment& environment);

}  // namespace resnext
