// `resnext_launcher sweep`: from the command line to the exit code.
//
// Holds the sweep folder's sweep.lock while it runs or submits trials. A task of a Slurm array
// (--trial) does not: it reads the snapshot that was made when it was submitted, and its trial's
// run folder has a lock of its own. Local. Throws ConfigError and OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "launcher/command_line.h"
#include "launcher/signal_inbox.h"

namespace resnext {

int execute(const SweepTask& task, SignalInbox& inbox);

// The sbatch command that `--slurm` runs for the trials of these numbers; a pure function. The
// script gets the snapshot and how each trial is to be started (-n, --max-restarts, --launcher,
// --stage-to). `after`: the job that must have ended before.
std::vector<std::string> sbatch_command(const SweepTask& task, const std::string& script,
                                        const std::string& snapshot,
                                        const std::vector<size_t>& trials,
                                        const std::string& after = "");

}  // namespace resnext
