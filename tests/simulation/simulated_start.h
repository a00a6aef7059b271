// One start of a simulated run: its ranks as threads, on disks that outlive it, and its mishap.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "tests/simulation/fake_learner.h"
#include "tests/simulation/history.h"
#include "tests/simulation/simulated_disk.h"

namespace resnext::test {

inline constexpr int kKilledCode = 137;

// What is there between the starts.
struct World {
  explicit World(uint64_t seed);

  SimulatedDisk shared;
  std::vector<std::unique_ptr<SimulatedDisk>> hosts;
  int attempt = 0;                       // starts so far
  int64_t committed = 0;                 // serial of the newest save that was said to be written
  std::map<int64_t, FakeWeights> saved;  // by serial, all that was ever seen
};

// What one start did, as it looks from outside.
struct Outcome {
  int code = 0;
  std::string error;
  bool began = false;  // the learner was made: where the run goes on was decided
  int64_t from_step = 0;
  int64_t steps = 0;          // that were begun
  FakeWeights from, to;       // of rank 0
  bool flipped = false;       // a rank's weights
  bool at_epoch_end = false;  // that validation
  int64_t validating = -1;    // step of the last validation that began
};

// All files of a disk but locks.
std::map<std::string, std::string> content_of(const SimulatedDisk& disk);

// The host of a rank. `start.host_ranks` neighbours share one.
int host_of(const Start& start, int rank);

// `config` with the run's folder and run.resume. `again`: the launcher repeats the start before.
Outcome carry_out(World& world, const History& history, const Start& start, const RunConfig& config,
                  bool again);

}  // namespace resnext::test
