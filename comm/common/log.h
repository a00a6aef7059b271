// Log lines for people, through spdlog: rank 0 speaks, other ranks only warn.
//
// Use spdlog::info/warn/error directly; this header only sets them up. Thread-safe after
// set_up_log(). Lines go to standard error, so that standard output stays for results. On a
// terminal levels have colours, and the last line may be a live one.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "comm/common/console.h"

namespace resnext {

// Local. Rank 0 of `world_size` prints from level info on, the others from warning on, with their
// rank in front when there is more than one.
void set_up_log(int rank, int world_size, const Console& console = find_console());

// From now on warnings and errors only.
void quieten_log();

// The line that the next log or live line takes the place of; cut to the terminal. Nothing where
// log_console() is no terminal, or info lines are not printed. One thread.
void show_live_line(const std::string& text);

// As set_up_log() was told.
const Console& log_console();

}  // namespace resnext
