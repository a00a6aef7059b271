// The progress line.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace resnext {

Progress::Progress()
    : terminal_(::isatty(STDERR_FILENO) == 1), begin_(Clock::now()), shown_(begin_) {}

void Progress::update(int64_t done, int64_t total) {
  using Seconds = std::chrono::duration<double>;
  const auto now = Clock::now();
  const bool last = done == total;
  const auto interval = std::chrono::milliseconds(terminal_ ? 200 : 5000);
  if (!last && now - shown_ < interval) return;
  shown_ = now;
  const double rate = static_cast<double>(done) / std::max(Seconds(now - begin_).count(), 1e-3);
  const auto left = static_cast<int64_t>(static_cast<double>(total - done) / rate);
  const std::string text =
      fmt::format("{}/{} images ({} %), {:.0f} img/s, {}:{:02}:{:02} left", done, total,
                  100 * done / total, rate, left / 3600, left / 60 % 60, left % 60);
  line_open_ = terminal_ && !last;
  fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", text, line_open_ ? "" : "\n");
  std::fflush(stderr);
}

void Progress::message(const std::string& text) {
  fmt::print(stderr, "{}{}\n", line_open_ ? "\r\033[K" : "", text);
  line_open_ = false;
}

}  // namespace resnext
