// What standard error is taken for, and the bar.
// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/console.h"

#include <gtest/gtest.h>

#include <map>

namespace resnext {
namespace {

Console find(const std::map<std::string, std::string>& variables, std::optional<int> columns) {
  return find_console(
      [&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      columns);
}

TEST(Console, IsPlainWhereThereIsNoTerminal) {
  EXPECT_FALSE(find({{"TERM", "xterm"}}, std::nullopt).terminal);
  EXPECT_FALSE(find({{"TERM", "dumb"}}, 80).terminal);
  EXPECT_FALSE(find({}, 80).terminal);
  EXPECT_EQ(to_variable(find({}, 80)), "");
}

TEST(Console, HasColoursUnlessNoColorIsSet) {
  EXPECT_TRUE(find({{"TERM", "xterm"}}, 80).colour);
  const Console plain = find({{"TERM", "xterm"}, {"NO_COLOR", "1"}}, 80);
  EXPECT_TRUE(plain.terminal);
  EXPECT_FALSE(plain.colour);
  EXPECT_TRUE(find({{"TERM", "xterm"}, {"NO_COLOR", ""}}, 80).colour) << "empty is not set";
}

// A rank's standard error is a pipe, and TERM does not reach other hosts.
TEST(Console, IsHandedToRanksWithItsWidthAndColour) {
  for (const bool colour : {true, false}) {
    const Console rank = find({{kTerminalVariable, to_variable({true, colour, 132})}}, {});
    EXPECT_TRUE(rank.terminal);
    EXPECT_EQ(rank.columns, 132);
    EXPECT_EQ(rank.colour, colour);
  }
  EXPECT_FALSE(find({{kTerminalVariable, ""}}, {}).terminal);
}

TEST(ProgressBar, IsAsWideAsAsked) {
  EXPECT_EQ(progress_bar(0, 12), "[>         ]");
  EXPECT_EQ(progress_bar(0.5, 12), "[=====>    ]");
  EXPECT_EQ(progress_bar(1, 12), "[==========]");
  EXPECT_EQ(progress_bar(7, 12), progress_bar(1, 12));
}

TEST(Console, DurationsAreShort) {
  EXPECT_EQ(duration_text(12.4), "12s");
  EXPECT_EQ(duration_text(187), "3m07s");
  EXPECT_EQ(duration_text(7500), "2h05m");
}

}  // namespace
}  // namespace resnext
