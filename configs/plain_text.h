// Is a configuration plain text? Checked before YAML sees it, which would guess or stop early.
//
// Local; pure function of its argument.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace resnext {

struct TextProblem {
  int64_t line;  // from 1
  std::string what;
  std::string remedy;
};

// The first of: a control character, a tab that indents, bytes that are not UTF-8 (RFC 3629).
std::optional<TextProblem> find_text_problem(std::string_view text);

}  // namespace resnext
