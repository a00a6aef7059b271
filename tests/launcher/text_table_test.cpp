// Columns and CSV.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/text_table.h"

#include <gtest/gtest.h>

namespace resnext {
namespace {

TEST(TextTable, AlignsNamesLeftAndFiguresRight) {
  EXPECT_EQ(to_columns({{"name", "n"}, {"a", "12"}, {"long name", ""}}),
            "name        n\na          12\nlong name\n");
}

TEST(TextTable, FitsTheTerminal) {
  const std::string name = "cardinality4_base_lr0.1_mileones30_60_seed1";
  EXPECT_EQ(to_columns({{"trial", "top1", "gmac"}, {name, "50.5", "4.1"}}, 40),
            "trial                             top1\n"
            "cardinality4_ba..ones30_60_see"
            "d1"
            "  50.5\n"
            "(1 more columns in leaderboard.csv)\n");
  EXPECT_EQ(to_columns({{"a", "b"}, {"1", "2"}}, 40), to_columns({{"a", "b"}, {"1", "2"}}));
}

TEST(TextTable, QuotesCsvFieldsThatNeedIt) {
  EXPECT_EQ(to_csv({{"a", "b,c"}, {"d\"e", "f\ng"}}), "a,\"b,c\"\r\n\"d\"\"e\",\"f\ng\"\r\n");
}

}  // namespace
}  // namespace resnext
