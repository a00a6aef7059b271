// `resnext_launcher report`: one page with the curves of runs, and the main charts as PNG if
// wanted.
//
// The page holds everything it shows, so it opens from disk and without a network. Runs that still
// go on, were killed, or never logged anything are shown as far as they came. Local. Throws
// ConfigError (no such folder, no runs in it, no gnuplot) and OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "launcher/command_line.h"
#include "launcher/plots.h"
#include "launcher/run_folder.h"

namespace resnext {

struct ReportRun {
  std::string name;  // the shortest end of its path that no other run has
  std::filesystem::path folder;
  RunMetrics metrics;
  std::optional<RunConfig> config;  // none: not written yet, or not readable
  int stopped_at = 0;               // rung of its sweep; 0: not stopped
};

// The runs in `folders`: run folders, sweeps (which stand for their trials), and folders that hold
// such at any depth down to four.
std::vector<ReportRun> read_runs(const std::vector<std::string>& folders);

// Charts for PNGs that have anything to show. With two runs or more, also error against cardinality
// and against parameters.
std::vector<Plot> make_plots(const std::vector<ReportRun>& runs);

int execute(const ReportTask& task);

}  // namespace resnext
