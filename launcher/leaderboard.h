// The trials of a sweep, best first.
//
// Made of the sweep's journal alone: it opens no run folder. Repeats over seeds stand together, by
// the mean of those that have finished. Local. Throws OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "launcher/sweep_folder.h"
#include "launcher/text_table.h"

namespace resnext {

// "finished", "waiting", "unfinished" (it runs, or was killed), "stopped", "failed (77)"; "paused"
// before a rung that is not decided, "stopped at rung 1" (`stopped_at`) behind one; "no result"
// when a trial ended with 0 but its run folder does not say that it has finished.
std::string state_of(const TrialRecord& record, int stopped_at);
// Why a trial failed, in words: "diverged"; empty when it did not.
std::string reason_of(const TrialRecord& record);

// One row a trial after the heading: its name, place, metric (of its last validation), top-1 of
// averaged weights where there are such (ema_top1), state,
// varied keys, cost and time; with repeats also the mean, the spread (sample standard deviation)
// and the number of finished seeds of its group, whose place it has. Trials that were stopped at a
// rung follow, those of a later rung first. Unfinished trials come last, without a place.
std::vector<Row> make_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                                  const SweepFolder& folder);

// The same with one row a group of repeats, for people.
std::vector<Row> make_short_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                                        const SweepFolder& folder);

// Writes OUTPUT/leaderboard.csv, so that of several that write at a time the last has all; returns
// the short table, as wide as the terminal.
std::string write_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                              SweepFolder& folder);

}  // namespace resnext
