// `resnext_launcher sweep status`: how the trials of a sweep stand, while it runs or afterwards.
//
// Reads the journal, and the run folders of those trials only that have not finished by it; asks
// squeue when trials were submitted. Writes leaderboard.csv, and what the journal lacks. Local.
// Throws ConfigError and OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

#include "launcher/command_line.h"

namespace resnext {

// `task.file`: a sweep file or the folder of a sweep.
int show_sweep_status(const SweepTask& task);

// Whether a launcher holds the run folder: its lock was touched within the last minute.
bool is_running(const std::filesystem::path& run_folder);

}  // namespace resnext
