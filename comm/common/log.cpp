// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/log.h"

#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>
#include <string>

namespace resnext {
namespace {

constexpr const char* kClearLine = "\r\033[K";

Console& console_of_log() {
  static Console console;
  return console;
}

}  // namespace

void set_up_log(int rank, int world_size, const Console& console) {
  console_of_log() = console;
  const auto colours = console.colour ? spdlog::color_mode::always : spdlog::color_mode::never;
  auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(colours);
  auto logger = std::make_shared<spdlog::logger>("resnext", std::move(sink));
  logger->set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
  logger->flush_on(spdlog::level::info);
  const std::string who = world_size > 1 ? "rank " + std::to_string(rank) + " " : "";
  logger->set_pattern((console.terminal ? kClearLine : "") + ("%H:%M:%S %^%l%$ " + who) + "%v");
  spdlog::set_default_logger(std::move(logger));
}

void quieten_log() {
  if (spdlog::default_logger()->level() < spdlog::level::warn) {
    spdlog::default_logger()->set_level(spdlog::level::warn);
  }
}

void show_live_line(const std::string& text) {
  const Console& console = log_console();
  if (!console.terminal || !spdlog::default_logger()->should_log(spdlog::level::info)) return;
  const auto columns = static_cast<size_t>(console.columns > 1 ? console.columns - 1 : 1);
  const std::string line = kClearLine + text.substr(0, columns);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

const Console& log_console() {
  return console_of_log();
}

}  // namespace resnext
