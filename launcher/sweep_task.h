// `resnext_launcher sweep`: from the command line to the exit code.
//
// Local. Throws ConfigError and OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "launcher/command_line.h"

namespace resnext {

int execute(const SweepTask& task);

// The sbatch command that `--slurm` runs for the trials of these numbers; a pure function.
std::vector<std::string> sbatch_command(const SweepTask& task, const std::string& script,
                                        const std::vector<size_t>& trials);

}  // namespace resnext
