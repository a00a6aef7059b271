// A progress line on standard error: images done, img/s, time left.
//
// On a terminal one line that is redrawn; elsewhere a line every few seconds. One thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace resnext {

class Progress {
 public:
  Progress();

  void update(int64_t done, int64_t total);
  // Prints a message without breaking the line.
  void message(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool line_open_ = false;
  Clock::time_point begin_;
  Clock::time_point shown_;
};

}  // namespace resnext
