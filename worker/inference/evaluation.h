// Validation of saved weights, without training.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

#include "comm/communicator.h"
#include "worker/command_line.h"
#include "worker/inference/saved_network.h"

namespace resnext {

// COLLECTIVE. Over the validation split of `sets`. Rank 0 writes the tables that `line` names,
// whole or not at all. What was found, as text or JSON, with a line's end; none when a rank was
// asked to stop. Throws DataError, OutputError, on all ranks.
std::optional<std::string> evaluate_saved(const CommandLine& line, SavedNetwork& network,
                                          const DataSets& sets, Communicator& communicator);

}  // namespace resnext
