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

TEST(Timeline, IsAChromeTraceOfCompleteEvents) {
  const fs::path folder = fs::temp_directory_path() / ("timeline_" + std::to_string(::getpid()));
  {
    Timeline timeline(folder, 3);
    const Timeline::Clock::time_point zero;
    timeline.add("forward", zero + std::chrono::microseconds(5),
                 zero + std::chrono::microseconds(12));
    timeline.add("backward", zero + std::chrono::microseconds(12),
                 zero + std::chrono::milliseconds(1));
  }
  std::ifstream stream(folder / "timeline.rank3.json");
  std::stringstream text;
  text << stream.rdbuf();
  std::string array = text.str();
  array = array.substr(0, array.rfind(',')) + "]";  // what viewers add to a trace without an end
  const auto events = nlohmann::json::parse(array);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0], nlohmann::json::parse(
                           R"({"name":"forward","ph":"X","ts":5.0,"dur":7.0,"pid":3,"tid":0})"));
  EXPECT_EQ(events[1]["dur"], 988.0);
  fs::remove_all(folder);
}

TEST(Timeline, SaysWhenItCannotBeWritten) {
  EXPECT_THROW(Timeline("/dev/null/folder", 0), OutputError);
}

}  // namespace
}  // namespace resnext
