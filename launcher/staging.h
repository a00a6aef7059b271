// Copies of the data on each host's own disk, made before a run starts.
//
// A pure function: it says which command copies (one process a host; files that are there and not
// older stay) and which overrides then point to the copies. Throws ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "configs/run_config.h"
#include "launcher/allocation.h"

namespace resnext {

struct StagePlan {
  std::vector<std::string> argv;  // empty: nothing to copy
  std::vector<std::string> overrides;
};

StagePlan make_stage_plan(const Allocation& allocation, const RunConfig& config,
                          const std::string& folder);

}  // namespace resnext
