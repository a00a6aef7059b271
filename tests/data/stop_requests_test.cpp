// A request to stop ends a program that hangs, too.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/stop_requests.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "comm/common/error.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

// What reads from a file system that does not answer never comes to check().
TEST(StopRequestsDeathTest, AHangingProgramEndsWith75AndRemovesWhatIsUnfinished) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string unfinished = ::testing::TempDir() + "resnext_stop_requests.partial";
  testing::write_bytes(unfinished, {1, 2, 3});
  EXPECT_EXIT(
      {
        const StopRequests stop(unfinished);
        ::kill(::getpid(), SIGHUP);
        for (;;) ::pause();
      },
      ::testing::ExitedWithCode(75), "stopped on request");
  EXPECT_FALSE(std::filesystem::exists(unfinished));
}

TEST(StopRequestsDeathTest, CheckThrowsOnceAStopWasRequested) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const StopRequests stop("");
        stop.check();
        ::kill(::getpid(), SIGUSR2);
        try {
          for (;;) stop.check();
        } catch (const Error& error) {
          ::_exit(static_cast<int>(error.exit_code()));
        }
      },
      ::testing::ExitedWithCode(75), "");
}

}  // namespace
}  // namespace resnext
