// A rank's timeline in Chrome's trace format, for ui.perfetto.dev or chrome://tracing: a track each
// for the phases of the training step, every bucket of gradients from ready to summed, every
// decoder thread, and saving.
//
// One JSON array (Trace Event Format, "complete" and "metadata" events, microseconds) whose closing
// bracket may be missing, as the format allows, when a run was killed. Every rank writes its own
// file; ranks of one host share a clock. Of a GPU it tells what the host does, which runs ahead of
// the device; buckets are told of by the MPI backend only. An event costs its thread about 1 us and
// 100 bytes. Local; any thread may add.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace resnext {

// The track of the training step's phases: the main thread's.
inline constexpr std::string_view kStepTrack = "training step";

class Timeline {
 public:
  using Clock = std::chrono::steady_clock;

  // Creates timeline.rank<rank>.json in `folder`. Throws OutputError.
  Timeline(const std::filesystem::path& folder, int rank);
  // Closes the array.
  ~Timeline();

  // `track` and `name` are plain words.
  void add(std::string_view track, std::string_view name, Clock::time_point begin,
           Clock::time_point end);

 private:
  int number_of(std::string_view track);

  int rank_;
  std::mutex mutex_;
  std::map<std::string, int, std::less<>> tracks_;  // their numbers
  std::ofstream stream_;
};

}  // namespace resnext
