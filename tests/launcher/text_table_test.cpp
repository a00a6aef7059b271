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

TEST(TextTable, QuotesCsvFieldsThatNeedIt) {
  EXPECT_EQ(to_csv({{"a", "b,c"}, {"d\"e", "f\ng"}}), "a,\"b,c\"\r\n\"d\"\"e\",\"f\ng\"\r\n");
}

}  // namespace
}  // namespace resnext
