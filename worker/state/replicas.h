// Looks, at a log line, whether all ranks still have the same network, and whether one is slow.
//
// COLLECTIVE; costs one all_gather of a few numbers.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "worker/record/meters.h"

namespace resnext {

// What a rank says of itself.
struct ReplicaReport {
  uint64_t checksum = 0;    // of its weights, statistics and momentum
  uint64_t tally = 0;       // of the images that it has taken
  double ready_ms = 0;      // from a step's begin until its gradients were ready; a mean
  double data_wait_ms = 0;  // of that, waiting for images
};

// Throws CommError (76: a restart from the last checkpoint heals it) naming the ranks that differ
// from the majority; of two ranks nobody can say which is wrong. Warns on rank 0 of a slow rank.
// `warn`: of a slow rank. Returns the tally of all ranks' images.
uint64_t watch_replicas(Communicator& communicator, const ReplicaReport& mine, int64_t step,
                        double step_ms, bool warn);

// What a rank says of the steps that the meters cover.
ReplicaReport report_of(uint64_t checksum, uint64_t tally, const Meters& meters);

// Ranks without the majority's checksum; all of them where there is no majority. Pure.
std::vector<int> damaged_replicas(std::span<const ReplicaReport> reports);

// One line on the slowest rank, when it holds up the others by a fifth of a step; else empty. Pure.
std::string slow_rank(std::span<const ReplicaReport> reports, double step_ms);

}  // namespace resnext
