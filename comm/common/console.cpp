// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/console.h"

#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

namespace resnext {
namespace {

constexpr int kUsualColumns = 80;
constexpr const char* kColour = " colour";

std::optional<int> terminal_columns() {
  if (::isatty(STDERR_FILENO) == 0) return std::nullopt;
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualColumns;
  return size.ws_col;
}

}  // namespace

Console find_console(const std::function<const char*(const char*)>& variable,
                     std::optional<int> columns) {
  const auto text = [&](const char* name) {
    const char* value = variable(name);
    return std::string(value == nullptr ? "" : value);
  };
  const std::string handed = text(kTerminalVariable);
  if (!columns && std::atoi(handed.c_str()) > 0) {
    return {true, handed.ends_with(kColour), std::atoi(handed.c_str())};
  }
  const std::string kind = text("TERM");
  if (!columns || kind.empty() || kind == "dumb") return {};
  return {true, text("NO_COLOR").empty(), *columns};
}

Console find_console() {
  return find_console([](const char* name) { return std::getenv(name); }, terminal_columns());
}

std::string to_variable(const Console& console) {
  if (!console.terminal) return "";
  return std::to_string(console.columns) + (console.colour ? kColour : "");
}

std::string progress_bar(double share, int width) {
  const int inner = std::max(1, width - 2);
  const int done = std::clamp(static_cast<int>(share * inner), 0, inner);
  std::string bar(static_cast<size_t>(done), '=');
  if (done < inner) bar += '>';
  bar.resize(static_cast<size_t>(inner), ' ');
  return "[" + bar + "]";
}

std::string duration_text(double seconds) {
  const auto s = static_cast<int64_t>(std::lround(seconds));
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}s", s);
}

}  // namespace resnext
