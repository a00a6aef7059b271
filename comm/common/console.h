// Where lines for people go: a terminal, whose last line may be drawn again, or plain text.
//
// Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace resnext {

struct Console {
  bool terminal = false;
  bool colour = false;
  int columns = 80;
};

// Handed to ranks, whose standard error is a pipe of mpirun's: the terminal that it leads to.
inline constexpr const char* kTerminalVariable = "RESNEXT_TERMINAL";

// Standard error's. No colour with NO_COLOR (no-color.org); TERM=dumb is no terminal. `variable`
// reads the environment (nullptr: not set); `columns`: of the terminal that it is, if it is one.
Console find_console(const std::function<const char*(const char*)>& variable,
                     std::optional<int> columns);
Console find_console();

// The text for kTerminalVariable; empty: not a terminal.
std::string to_variable(const Console& console);

// "[=====>    ]", `width` characters in all; `share` of 0..1 is done.
std::string progress_bar(double share, int width);

// "2h05m", "3m07s" or "12s".
std::string duration_text(double seconds);

}  // namespace resnext
