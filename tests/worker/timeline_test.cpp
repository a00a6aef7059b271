// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/timeline.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

TEST(Timeline, IsAChromeTraceWithATrackForEachName) {
  const fs::path folder = fs::temp_directory_path() / ("timeline_" + std::to_string(::getpid()));
  {
    Timeline timeline(folder, 3);
    const Timeline::Clock::time_point zero;
    timeline.add("training step", "forward", zero + std::chrono::microseconds(5),
                 zero + std::chrono::microseconds(12));
    timeline.add("decoder 0", "4 images", zero, zero + std::chrono::milliseconds(1));
    timeline.add("training step", "backward", zero + std::chrono::microseconds(12),
                 zero + std::chrono::milliseconds(1));
  }
  std::ifstream stream(folder / "timeline.rank3.json");
  const auto events = nlohmann::json::parse(stream);
  const auto expected = nlohmann::json::parse(R"([
    {"name":"process_name","ph":"M","pid":3,"tid":0,"args":{"name":"rank 3"}},
    {"name":"thread_name","ph":"M","pid":3,"tid":3,"args":{"name":"training step"}},
    {"name":"thread_sort_index","ph":"M","pid":3,"tid":3,"args":{"sort_index":3}},
    {"name":"forward","ph":"X","ts":5.0,"dur":7.0,"pid":3,"tid":3},
    {"name":"thread_name","ph":"M","pid":3,"tid":4,"args":{"name":"decoder 0"}},
    {"name":"thread_sort_index","ph":"M","pid":3,"tid":4,"args":{"sort_index":4}},
    {"name":"4 images","ph":"X","ts":0.0,"dur":1000.0,"pid":3,"tid":4},
    {"name":"backward","ph":"X","ts":12.0,"dur":988.0,"pid":3,"tid":3}])");
  EXPECT_EQ(events, expected);
  fs::remove_all(folder);
}

// Perfetto drops what begins before the event before it ends.
TEST(Timeline, PhasesThatFollowEachOtherDoNotOverlap) {
  const fs::path folder = fs::temp_directory_path() / ("timeline_" + std::to_string(::getpid()));
  {
    Timeline timeline(folder, 0);
    const Timeline::Clock::time_point zero;
    timeline.add(kStepTrack, "forward", zero + std::chrono::nanoseconds(7883384339550),
                 zero + std::chrono::nanoseconds(7883428686149));
  }
  std::stringstream text;
  text << std::ifstream(folder / "timeline.rank0.json").rdbuf();
  EXPECT_NE(text.str().find(R"("ts":7883384339.550,"dur":44346.599,)"), std::string::npos);
  fs::remove_all(folder);
}

TEST(Timeline, SaysWhenItCannotBeWritten) {
  EXPECT_THROW(Timeline("/dev/null/folder", 0), OutputError);
}

}  // namespace
}  // namespace resnext
