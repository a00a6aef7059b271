// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace resnext {

void set_up_log(int rank, int world_size) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("resnext", std::move(sink));
  logger->set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
  logger->flush_on(spdlog::level::info);
  const std::string who = world_size > 1 ? "rank " + std::to_string(rank) + " " : "";
  logger->set_pattern("%H:%M:%S %l " + who + "%v");
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace resnext
