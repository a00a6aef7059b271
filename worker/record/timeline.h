// A rank's timeline: the phases of each step in Chrome's trace format, for chrome://tracing or
// ui.perfetto.dev.
//
// One JSON array (Trace Event Format, "complete" events, microseconds) whose closing bracket may be
// missing, as the format allows, when a run was killed. Every rank writes its own file; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace resnext {

class Timeline {
 public:
  using Clock = std::chrono::steady_clock;

  // Creates timeline.rank<rank>.json in `folder`. Throws OutputError.
  Timeline(const std::filesystem::path& folder, int rank);

  void add(std::string_view name, Clock::time_point begin, Clock::time_point end);

 private:
  int rank_;
  std::ofstream stream_;
};

}  // namespace resnext
