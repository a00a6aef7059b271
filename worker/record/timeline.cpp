// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/timeline.h"

#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"

namespace resnext {

Timeline::Timeline(const std::filesystem::path& folder, int rank) : rank_(rank) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::filesystem::path path = folder / fmt::format("timeline.rank{}.json", rank);
  stream_.open(path, std::ios::trunc);
  stream_
      << "[\n"
      << fmt::format(
             R"({{"name":"process_name","ph":"M","pid":{},"tid":0,"args":{{"name":"rank {}"}}}})",
             rank, rank);
  number_of(kStepTrack);
  if (!stream_) {
    throw OutputError(path.string(), "cannot be written",
                      "free space, or set log.timeline to false");
  }
}

Timeline::~Timeline() {
  stream_ << "\n]\n";
}

// A new track is named, and stands below those before. The first has the process's own number,
// which makes it the main thread.
int Timeline::number_of(std::string_view track) {
  if (const auto found = tracks_.find(track); found != tracks_.end()) return found->second;
  const int number = rank_ + static_cast<int>(tracks_.size());
  tracks_.emplace(track, number);
  stream_ << fmt::format(
      ",\n"
      R"({{"name":"thread_name","ph":"M","pid":{},"tid":{},"args":{{"name":"{}"}}}})"
      ",\n"
      R"({{"name":"thread_sort_index","ph":"M","pid":{},"tid":{},"args":{{"sort_index":{}}}}})",
      rank_, number, track, rank_, number, number);
  return number;
}

void Timeline::add(std::string_view track, std::string_view name, Clock::time_point begin,
                   Clock::time_point end) {
  // To the nanosecond: a phase that began before the last one's rounded end would be dropped.
  const auto us = [](Clock::duration d) {
    const int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
    return fmt::format("{}.{:03}", ns / 1000, ns % 1000);
  };
  const std::lock_guard lock(mutex_);
  const int number = number_of(track);
  stream_ << fmt::format(
      ",\n"
      R"({{"name":"{}","ph":"X","ts":{},"dur":{},"pid":{},"tid":{}}})",
      name, us(begin.time_since_epoch()), us(end - begin), rank_, number);
}

}  // namespace resnext
