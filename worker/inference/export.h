// The network of a run or of a file, written for other programs.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/communicator.h"
#include "configs/run_config.h"
#include "worker/command_line.h"

namespace resnext {

// COLLECTIVE. Rank 0 writes the network that evaluation would take (find_weights()) to
// line.export_file (model/export/network_export.h); the number of classes is that of its weights.
// .onnx files get the checkpoint's normalisation and class names as notes. No data set is opened.
// Throws ConfigError, CheckpointError, OutputError, on all ranks.
void export_saved(const CommandLine& line, RunConfig config, Communicator& communicator);

}  // namespace resnext
