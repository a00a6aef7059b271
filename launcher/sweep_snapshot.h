// What a sweep was when its trials were submitted, so that the tasks of a Slurm array, which may
// start days later, run just that, whatever the sweep file says by then.
//
// OUTPUT/snapshot-HASH.json lists the trials by number, with what a leaderboard tells of them;
// their whole configurations are the trial.yaml of each. The same sweep gives the same file.
// OUTPUT/sweep.json has the same form, of the sweep as it was last run. Local. Throws ConfigError,
// OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <vector>

#include "configs/sweep_reader.h"
#include "launcher/sweep_trials.h"

namespace resnext {

struct SweepSnapshot {
  SweepFile sweep;  // name, path, output, metric and stop; not how trials were made
  std::vector<Trial> trials;
};

// Absolute. A pure function.
std::filesystem::path snapshot_path(const SweepFile& sweep, const std::vector<Trial>& trials);

std::string snapshot_text(const SweepFile& sweep, const std::vector<Trial>& trials);
void write_snapshot(const SweepFile& sweep, const std::vector<Trial>& trials);

bool is_snapshot(const std::filesystem::path& file);
// The configuration is read of trial `only`, of none when it is -1. `ranks`: as for expand_sweep().
SweepSnapshot read_snapshot(const std::filesystem::path& file, int ranks, int only);

}  // namespace resnext
