// Validation of saved weights, without training.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/Device.h>

#include <optional>

#include "comm/communicator.h"
#include "configs/run_config.h"
#include "worker/command_line.h"
#include "worker/input/data_sets.h"
#include "worker/record/accuracy.h"

namespace resnext {

// COLLECTIVE. Of model.pretrained where that is named, else of the run folder's checkpoint, which
// then says mean, standard deviation, classes, recipe and sizes, but for what `line` names. None
// when a rank was asked to stop. Throws ConfigError, CheckpointError, DataError, on all ranks.
std::optional<Accuracy> evaluate_saved(const CommandLine& line, RunConfig config, DataSets sets,
                                       Communicator& communicator, c10::Device device);

// COLLECTIVE. Ranks with different programs, configurations or data would train different networks:
// throws ConfigError or DataError naming what differs, and where.
void check_ranks_agree(const RunConfig& config, const DataRecord& data, Communicator& communicator);

}  // namespace resnext
