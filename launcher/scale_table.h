// What runs on different numbers of ranks have measured, as one table and as JSON.
//
// Times in milliseconds a step, medians over the log lines that count. Pure functions.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "launcher/run_folder.h"
#include "launcher/text_table.h"

namespace resnext {

struct ScalePoint {
  int ranks = 1;
  double images_per_second = 0;  // of all ranks
  double step_ms = 0;
  double data_wait_ms = 0, forward_ms = 0, backward_ms = 0, exposed_comm_ms = 0, optimizer_ms = 0;
  double spread = 0;         // relative standard deviation of step_ms between the lines
  double all_reduce_ms = 0;  // of kAllReduceBytes; 0: one rank, or not measured
};

// Of the sum whose bandwidth is told.
inline constexpr double kAllReduceBytes = 25 * 1024 * 1024;

// Of the lines after `warmup` steps. Throws ConfigError when there is none.
ScalePoint measured_point(const RunMetrics& metrics, int ranks, int64_t warmup);

// Milliseconds of the sum of kAllReduceBytes in what `resnext_worker --all-reduce --json` printed
// among other lines; 0 when it is not there.
double all_reduce_ms_of(const std::string& output);

// Images a second and rank against the first point's, in percent.
double efficiency(const ScalePoint& point, const ScalePoint& first);

std::vector<Row> to_rows(const std::vector<ScalePoint>& points);

nlohmann::ordered_json to_json(const std::vector<ScalePoint>& points);
// Throws nlohmann::json::exception.
std::vector<ScalePoint> to_scale_points(const nlohmann::ordered_json& json);

}  // namespace resnext
