// Copies of the data on each host's own disk, made before a run starts.
//
// A copy's name carries the source's name and hashes of its real path and of its size and time, so
// that copies of different files, or of a file before and after it was changed, never meet. The
// command runs one process a host; those of one host take turns (flock on FOLDER/.staging.lock), so
// that a second one finds the copy whole. It removes what an interrupted copy has left, and copies
// of older versions of the same file that nobody has read for a week. Local; looks at the source
// files, starts nothing. Throws DataError when one is missing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "configs/run_config.h"
#include "launcher/allocation.h"

namespace resnext {

struct StagePlan {
  std::vector<std::string> argv;       // empty: nothing to copy
  std::vector<std::string> overrides;  // which make a run read the copies
};

StagePlan make_stage_plan(const Allocation& allocation, const RunConfig& config,
                          const std::string& folder);

}  // namespace resnext
