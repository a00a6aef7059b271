// Line-wise checks of encoding and white space.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/plain_text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace resnext {
namespace {

// Bytes of the character that `text` begins with; 0 when it is not one. The second byte's limits
// exclude overlong forms, surrogates and what lies above U+10FFFF.
size_t character_length(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_control(unsigned char c) {
  return (c < ' ' && c != '\t' && c != '\r') || c == 0x7F;
}

bool is_tab_indented(std::string_view line) {
  const auto indent = line.substr(0, line.find_first_not_of(" \t\r"));
  return indent.size() < line.size() && indent.find('\t') != indent.npos;
}

}  // namespace

std::optional<TextProblem> find_text_problem(std::string_view text) {
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (const auto bad = std::ranges::find_if(line, is_control); bad != line.end()) {
      return TextProblem{number, fmt::format("control character {}", static_cast<int>(*bad)),
                         "save it as plain UTF-8 text"};
    }
    if (is_tab_indented(line)) {
      return TextProblem{number, "a tab indents the line", "indent with spaces, as YAML needs"};
    }
    if (!is_utf8(line)) {
      return TextProblem{number, "the line is not UTF-8", "save it as UTF-8 text"};
    }
  }
  return std::nullopt;
}

}  // namespace resnext
