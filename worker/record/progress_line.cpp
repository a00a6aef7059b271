// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/progress_line.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "comm/common/console.h"
#include "comm/common/log.h"

namespace resnext {

std::string log_line(const Pace& p) {
  return fmt::format(
      "epoch {}/{}  step {}/{}  loss {:.4f}  lr {:.4g}  {:.0f} img/s  data wait {:.1f} ms  left {}",
      p.epoch + 1, p.epochs, p.step, p.total_steps, p.loss, p.lr, p.images_per_second,
      p.data_wait_ms, duration_text(p.seconds_left));
}

std::string live_line(const Pace& p, int columns) {
  constexpr int kShortestBar = 12;
  constexpr int kLongestBar = 42;
  const double share =
      p.total_steps > 0 ? static_cast<double>(p.step) / static_cast<double>(p.total_steps) : 1;
  const std::string text = fmt::format(
      " {:3.0f} %  epoch {}/{}  loss {:.4f}  {:.0f} img/s  {} left", 100 * share, p.epoch + 1,
      p.epochs, p.loss, p.images_per_second, duration_text(p.seconds_left));
  const int room = std::min(columns - 1 - static_cast<int>(text.size()), kLongestBar);
  if (room < kShortestBar) return text.substr(1, static_cast<size_t>(std::max(0, columns - 1)));
  return progress_bar(share, room) + text;
}

void tell(const Pace& pace) {
  const Console& console = log_console();
  if (console.terminal) {
    show_live_line(live_line(pace, console.columns));
  } else {
    spdlog::info("{}", log_line(pace));
  }
}

}  // namespace resnext
