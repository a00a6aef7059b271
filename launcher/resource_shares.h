// This machine's GPUs and cores, cut into shares for trials that run side by side, and dealt to
// ranks.
//
// Pure functions. Throw ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "launcher/allocation.h"

namespace resnext {

// A share for each of `trials` that run at once. `together` trials have one group of GPUs and cores
// between them: they share its GPUs, and its cores where those do not go round. Groups are disjoint
// and of one size, of whole cores, as near to the group's GPUs as there are; what does not divide
// stays unused. Refuses more groups than GPUs or, where there are none, than cores.
std::vector<Resources> share_out(const Resources& all, int trials, int together = 1);

// The GPUs of `here`, such that the r-th is near the cores of the r-th of `ranks` ranks, which get
// `cores_per_rank` cores each, one after the other, as mpirun deals them out. Empty: as they are.
std::vector<std::string> gpus_by_rank(const Resources& here, int ranks, int cores_per_rank);

}  // namespace resnext
