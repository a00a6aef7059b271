// What a rank is doing, in words that a user reads when it does not go on.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace resnext::watch {

enum class Phase : int {
  kStart,    // from the first instruction to MPI_Init
  kInit,     // MPI_Init and what ranks agree on there
  kOpen,     // data sets, checkpoint, network
  kData,     // waits for a batch
  kForward,  // also: a step that is replayed from a graph
  kBackward,
  kCollective,  // waits for a collective, which has a number
  kOptimizer,
  kValidation,
  kSave,
  kLog,
  kEnd,  // MPI_Finalize
};

constexpr std::string_view name(Phase phase) {
  constexpr std::string_view kNames[] = {"start",      "init",     "open",       "data",
                                         "forward",    "backward", "collective", "optimizer",
                                         "validation", "save",     "log",        "end"};
  return kNames[static_cast<int>(phase)];
}

// Whether a rank in this phase cannot go on before other ranks have come there too.
constexpr bool waits_for_others(Phase phase) {
  return phase == Phase::kInit || phase == Phase::kCollective || phase == Phase::kEnd;
}

}  // namespace resnext::watch
