// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/text_table.h"

#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <sstream>

namespace resnext {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

constexpr size_t kLongName = 32;

std::string shorten_middle(const std::string& text, size_t length) {
  if (text.size() <= length) return text;
  const size_t tail = (length - 2) / 2;
  return text.substr(0, length - 2 - tail) + ".." + text.substr(text.size() - tail);
}

size_t longest_line(const std::string& text) {
  size_t longest = 0;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) longest = std::max(longest, line.size());
  return longest;
}

}  // namespace

std::string to_columns(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i == 0 ? fmt::format("{:<{}}", row[i], widths[i])
                     : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string to_columns(std::vector<Row> rows, size_t width) {
  std::string text = to_columns(rows);
  if (longest_line(text) <= width || rows.empty()) return text;
  for (Row& row : rows) row.front() = shorten_middle(row.front(), kLongName);
  const size_t columns = rows.front().size();
  for (size_t left = columns; left > 1; --left) {
    for (Row& row : rows) row.resize(std::min(row.size(), left));
    text = to_columns(rows);
    if (longest_line(text) <= width) break;
  }
  const size_t gone = columns - rows.front().size();
  if (gone > 0) text += fmt::format("({} more columns in leaderboard.csv)\n", gone);
  return text;
}

size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* const columns = std::getenv("COLUMNS");
  const int width = columns == nullptr ? 0 : std::atoi(columns);
  return width > 0 ? static_cast<size_t>(width) : std::numeric_limits<size_t>::max();
}

std::string to_csv(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : ",") + csv_field(row[i]);
    text += "\r\n";
  }
  return text;
}

}  // namespace resnext
