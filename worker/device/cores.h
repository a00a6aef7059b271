// The cores that a rank computes on.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sched.h>

#include <cstdint>
#include <span>

#include "comm/communicator.h"

namespace resnext {

struct RankCores {
  uint64_t host = 0;  // a hash of its name
  cpu_set_t cores{};  // that the rank may use
};

// At least 1. A rank's cores, divided among the ranks of its host that may use some of them too.
int threads_for(const RankCores& mine, std::span<const RankCores> all);

// COLLECTIVE. OMP_NUM_THREADS, else threads_for() this rank.
int compute_threads(Communicator& communicator);

}  // namespace resnext
