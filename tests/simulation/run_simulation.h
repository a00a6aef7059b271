// Carries out a history and looks, after every start, at what is on the disk.
//
// What must hold, whatever happens: the images of an epoch come once each and in order; a start
// goes on from the newest whole save of its line, or from a newer snapshot of a host; serials only
// grow; a save that was said to be written survives a loss of power; the best is the best;
// metrics.jsonl has each line of the lineage once; what is refused changes nothing; the launcher
// restarts by its rules; a run that can end does.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "tests/simulation/history.h"

namespace resnext::test {

// Empty when all of it held; else what did not, with the history and where it was.
std::string simulate(const History& history);

}  // namespace resnext::test
