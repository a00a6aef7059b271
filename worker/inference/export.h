// The weights of a run or of a file, written for other programs.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/communicator.h"
#include "configs/run_config.h"
#include "worker/command_line.h"

namespace resnext {

// COLLECTIVE. Rank 0 writes the weights that evaluation would take (find_weights()) to
// line.export_file (model/weights/weights_export.h); the number of classes is theirs. No data set
// is opened. Throws ConfigError, CheckpointError, OutputError, on all ranks.
void export_saved(const CommandLine& line, RunConfig config, Communicator& communicator);

}  // namespace resnext
