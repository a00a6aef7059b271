// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/run_task.h"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <filesystem>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/programs.h"
#include "launcher/supervisor.h"

namespace resnext {
namespace {

void make_folder(const std::string& folder) {
  if (folder.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw OutputError(folder, "cannot be made: " + error.message(),
                      "name another folder or correct the permissions");
  }
}

}  // namespace

int execute(const RunTask& task) {
  const RunConfig config = read_run_config(task.launch.config, task.launch.overrides);
  LaunchOptions options = task.launch;
  options.worker = program_beside("resnext_worker");
  const Allocation allocation = find_allocation(inspect_machine(), task.hosts);
  const LaunchPlan plan = make_launch_plan(allocation, config, options);
  if (task.dry_run) {
    std::fputs(to_shell(plan).c_str(), stdout);
    return 0;
  }
  make_folder(options.rank_logs);
  for (const std::string& note : plan.notes) spdlog::info("{}", note);
  return supervise(plan, config.run.output, task.restarts);
}

}  // namespace resnext
