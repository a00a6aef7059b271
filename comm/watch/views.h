// The ranks of a board as the verdict wants to see them.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "comm/watch/board.h"
#include "comm/watch/verdict.h"

namespace resnext::watch {

// A watchdog that has not written for so long does not run.
constexpr double kStaleS = 2;
constexpr double kDefaultLimitS = 600;

// By slot; slots that nobody has taken are left out.
std::vector<RankView> views_of(Board& board, const std::string& host, int64_t now);

// The same when they were seen `age_s` ago and nothing has been heard since.
std::vector<RankView> aged(std::vector<RankView> views, double age_s);

// Of each next slot, up to the first that lives: marks those whose process is gone.
void mark_dead(Board& board);

}  // namespace resnext::watch
