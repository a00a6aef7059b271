// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/timeline.h"

#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"

namespace resnext {

Timeline::Timeline(const std::filesystem::path& folder, int rank) : rank_(rank) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::filesystem::path path = folder / fmt::format("timeline.rank{}.json", rank);
  stream_.open(path, std::ios::trunc);
  stream_ << "[\n";
  if (!stream_) {
    throw OutputError(path.string(), "cannot be written",
                      "free space, or set log.timeline to false");
  }
}

void Timeline::add(std::string_view name, Clock::time_point begin, Clock::time_point end) {
  const auto us = [](Clock::duration d) {
    return std::chrono::duration<double, std::micro>(d).count();
  };
  stream_ << fmt::format(R"({{"name":"{}","ph":"X","ts":{:.1f},"dur":{:.1f},"pid":{},"tid":0}},)"
                         "\n",
                         name, us(begin.time_since_epoch()), us(end - begin), rank_);
}

}  // namespace resnext
