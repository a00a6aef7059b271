// Who is to blame when ranks do not go on. Pure: what each rank does goes in, a verdict comes out.
//
// A rank that waits for others is a victim, unless it is stopped itself. Who works is slow until
// its phase has lasted longer than its limit, and lost from then on.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/watch/phase.h"

namespace resnext::watch {

// One rank, as seen at one moment. Times in seconds.
struct RankView {
  int rank = 0;
  std::string host;
  Phase phase = Phase::kStart;
  uint64_t collective = 0;  // the number that it waits for in phase collective
  int64_t step = -1;        // of training; -1: none yet
  double in_phase_s = 0;    // or since the last progress within the phase
  double limit_s = 600;     // of in_phase_s
  // A collective on the device that has not completed, and since when; 0: none.
  uint64_t device_collective = 0;
  double device_wait_s = 0;
  bool dead = false;     // the process is gone without having ended
  bool stopped = false;  // the process is there and does not run
  bool ended = false;    // in order
};

// Ranks that wait for ranks which wait for them are given a second more than their limit, so that a
// culprit is named first where there is one.
constexpr double kWaitersGrace = 1;

// Beside the ranks that are seen.
struct Unseen {
  bool others = false;              // there are ranks that cannot be seen from here
  std::vector<int> not_started;     // local ranks that never came
  std::string host;                 // of those
  std::vector<std::string> silent;  // ranks of other hosts that ought to be heard here, and are not
  double grace_s = kWaitersGrace;   // longer for who sees less
};

struct Verdict {
  std::vector<int> culprits;  // ranks; empty when nobody is to blame more than others
  std::string text;           // what happened, for CommError
};

// Nothing while all goes on. A dead rank is a verdict at once.
std::optional<Verdict> judge(std::span<const RankView> ranks, const Unseen& unseen = {});

}  // namespace resnext::watch
