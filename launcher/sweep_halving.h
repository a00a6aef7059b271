// Successive halving: behind each rung, a number of epochs, only the better part of the trials goes
// on (Jamieson and Talwalkar 2016, arXiv 1502.07943).
//
// All contenders of a rung reach it before it is decided, from the metric of their last validation
// up to it alone: neither the order in which they come nor how far one has gone beyond changes what
// is decided. Repeats over seeds stay together and are judged by their mean. Of n contenders
// floor(keep * n), at least one, go on; of equal ones that which the sweep names first. A trial
// that has diverged has no score and does not go on. What was decided is written down and counts
// for as long as the rule and the contenders are the same; in an edited sweep a rung is decided
// anew, so a trial that was stopped may go on from its checkpoint. Pure functions.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/sweep_journal.h"
#include "launcher/sweep_trials.h"

namespace resnext {

struct Halving {
  std::vector<RungDecision> made;         // that the journal does not have
  std::map<std::string, int> stopped_at;  // trial -> rung, from 1
  size_t rung = 0;                        // the first that is not decided, from 0
  std::optional<int64_t> pause;           // its epochs; none: all are decided
  std::vector<std::string> awaited;       // trials that it waits for
};

Halving halve(const StopRule& rule, const std::vector<Trial>& trials, const SweepJournal& journal);

// "rung 1 (5 epochs): 2 of 6 go on by top1: a 61.2, b 60.1; stopped: c 43.1, ..."
std::string describe(const RungDecision& decision);

}  // namespace resnext
