// What the report page draws, as JSON: curves sampled to what a screen shows, settings that differ,
// restarts and stops. The fields' names are those of metrics.jsonl where there are such.
//
// Pure functions.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "launcher/report.h"

namespace resnext {

// Keys whose values differ between the runs that have a configuration, but for those that only name
// a run or its place (run.name, run.output), and where a start of it paused (run.pause_epoch).
std::vector<std::string> differing_keys(const std::vector<ReportRun>& runs);

// `about`: a line below the title.
std::string report_data(const std::vector<ReportRun>& runs, const std::string& title,
                        const std::string& about);

// Train lines of a run that are worth reading when so many runs share a page.
size_t points_of_a_run(size_t runs);

// Mean over the logged steps but the first, which also pays for the start; none when not logged.
std::optional<double> mean_phase(const RunMetrics& metrics, const std::string& phase);

// "finished", "stopped at rung 1", "paused", "ended with 75", "unfinished" or "no steps yet".
std::string state_of(const ReportRun& run);

}  // namespace resnext
