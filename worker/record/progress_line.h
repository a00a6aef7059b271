// How far a run is, for people: a log line, or on a terminal one live line with a bar.
//
// Rank 0 only; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace resnext {

struct Pace {
  int64_t epoch = 0;  // from 0
  int64_t epochs = 0;
  int64_t step = 0;  // updates taken
  int64_t total_steps = 0;
  double loss = 0;
  double lr = 0;
  double images_per_second = 0;
  double data_wait_ms = 0;  // of a step
  double seconds_left = 0;
};

std::string log_line(const Pace& pace);
// Fits into `columns`; the bar takes what is left.
std::string live_line(const Pace& pace, int columns);

// Whichever the log's console is for.
void tell(const Pace& pace);

}  // namespace resnext
