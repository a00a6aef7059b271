// What is done with a trained network besides training it.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/common/error.h"
#include "comm/communicator.h"
#include "configs/run_config.h"
#include "worker/command_line.h"
#include "worker/device/device.h"
#include "worker/input/data_sets.h"

namespace resnext {

bool uses_network(Action action);

// COLLECTIVE. What `line` asks for; results go to standard output of rank 0. `sets`: null where
// files are classified or weights exported. kOk, kStopped, or kData where an image was damaged and
// others were not. Throws the typed errors.
ExitCode use_network(const CommandLine& line, const RunConfig& config, DataSets* sets,
                     Communicator& communicator, const ComputeDevice& device);

}  // namespace resnext
