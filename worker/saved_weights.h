// Weights of a run or of a file, used without training: found, and written for other programs.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/communicator.h"
#include "configs/run_config.h"
#include "worker/command_line.h"
#include "worker/state/start_point.h"

namespace resnext {

// COLLECTIVE. The run folder's checkpoint; not resumed when the weights are those of
// model.pretrained, because `line` names it or because there is no checkpoint. Throws ConfigError
// when there is neither, CheckpointError; on all ranks.
StartPoint find_saved_weights(const CommandLine& line, const RunConfig& config,
                              Communicator& communicator);

// COLLECTIVE. Rank 0 writes those weights to line.export_file (model/weights/weights_export.h); the
// number of classes is theirs. No data set is opened. Throws also OutputError.
void export_saved(const CommandLine& line, RunConfig config, Communicator& communicator);

}  // namespace resnext
