// The trials of a sweep, best first.
//
// Local; reads run folders. Throws OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "launcher/sweep_folder.h"
#include "launcher/text_table.h"

namespace resnext {

// One row a trial after the heading: its place, name, metric (of its last validation), state,
// varied keys, cost and time. Unfinished trials come last, without a place.
std::vector<Row> make_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                                  const SweepFolder& folder);

// Writes OUTPUT/leaderboard.csv and returns the table for the terminal.
std::string write_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                              const SweepFolder& folder);

}  // namespace resnext
