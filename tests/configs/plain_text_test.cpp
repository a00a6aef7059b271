// Text checks: every kind of UTF-8 sequence at its limits (RFC 3629, table 3-7 of Unicode).
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/plain_text.h"

#include <gtest/gtest.h>

namespace resnext {
namespace {

TEST(PlainText, TextIsAccepted) {
  for (const char* text :
       {"", "a", "a\n", "\n\n", "a\tb", "a\r\n  b\r\n", "\t\n", "\xC2\x80", "\xDF\xBF",
        "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF", "\xEF\xBB\xBF# byte order mark"}) {
    EXPECT_FALSE(find_text_problem(text)) << text;
  }
}

TEST(PlainText, InvalidUtf8IsFound) {
  for (const char* text : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2 ", "\xE0\x9F\xBF",
                           "\xE1\x80", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF1\x80\x80",
                           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE1\x80\xC0"}) {
    const auto problem = find_text_problem(std::string("a\n") + text + "\nb");
    ASSERT_TRUE(problem) << text;
    EXPECT_EQ(problem->line, 2);
  }
}

TEST(PlainText, ControlCharactersAndTabsAreFound) {
  for (int c = 0; c < 128; ++c) {
    const bool allowed = c == '\t' || c == '\n' || c == '\r' || (c >= ' ' && c != 0x7F);
    const std::string text = std::string("a") + static_cast<char>(c);
    EXPECT_EQ(find_text_problem(text).has_value(), !allowed) << c;
  }
  EXPECT_EQ(find_text_problem("a:\n  \tb").value().line, 2);
  EXPECT_EQ(find_text_problem("\ta").value().line, 1);
}

}  // namespace
}  // namespace resnext
