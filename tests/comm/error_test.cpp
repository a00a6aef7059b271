// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/error.h"

#include <gtest/gtest.h>

namespace resnext {
namespace {

TEST(Error, JoinsWhereWhatAndRemedyIntoOneLine) {
  const ConfigError error("a.yaml:3:1", "unknown key model.dept", "did you mean model.depth?");
  EXPECT_STREQ(error.what(), "a.yaml:3:1: unknown key model.dept; did you mean model.depth?");
}

TEST(Error, LeavesOutEmptyParts) {
  EXPECT_STREQ(DataError("", "broken", "").what(), "broken");
}

TEST(Error, HasTheExitCodeOfItsKind) {
  EXPECT_EQ(static_cast<int>(ConfigError("", "", "").exit_code()), 64);
  EXPECT_EQ(static_cast<int>(CheckpointError("", "", "").exit_code()), 64);
  EXPECT_EQ(static_cast<int>(DataError("", "", "").exit_code()), 65);
  EXPECT_EQ(static_cast<int>(OutputError("", "", "").exit_code()), 73);
  EXPECT_EQ(static_cast<int>(CommError("", "", "").exit_code()), 76);
  EXPECT_EQ(static_cast<int>(DivergedError("", "", "").exit_code()), 77);
}

}  // namespace
}  // namespace resnext
