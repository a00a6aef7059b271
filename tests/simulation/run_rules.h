// What must hold of a simulated run, whatever happens to it. Each throws Violation.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launcher/restart_policy.h"
#include "tests/simulation/disk_view.h"
#include "tests/simulation/simulated_start.h"

namespace resnext::test {

struct Violation {
  std::string what;
};

void require(bool holds, const std::string& what);

// What a start went on with: it may have found an epoch to be at its end.
struct Footing {
  int64_t images = 0;
  int64_t global_batch = 0;
};
using Footings = std::multimap<int64_t, Footing>;  // by the step that a start went on from

// In order, each image once; fewer than one batch is left over at the end of an epoch: one of the
// batch before, or of a start that went on there. The weights are what comes of it.
void check_walk(const FakeWeights& weights, const Footings& footings, const History& history);

// Lines are in order, each once; `ended`: and none is missing up to step `last`.
void check_metrics(const DiskView& view, int64_t every_steps, bool ended, int64_t last);

// The best is the best of what is kept, and what was validated.
void check_best(const DiskView& view);

// A flipped bit is found and its rank named.
void check_replicas(const Start& start, const Outcome& outcome);

// What was to be saved is, before it is validated.
void check_saved_before_validated(const Start& start, const DiskView& after,
                                  const Outcome& outcome);

// Counts restarts and decisions by its own.
class LauncherRules {
 public:
  explicit LauncherRules(int max_restarts) : max_restarts_(max_restarts) {}

  void check(const Attempt& attempt, const Decision& decision);

 private:
  int max_restarts_;
  int restarts_ = 0;
  int fruitless_ = 0;
};

}  // namespace resnext::test
