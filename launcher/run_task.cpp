// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/run_task.h"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/child_process.h"
#include "launcher/programs.h"
#include "launcher/staging.h"
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

void copy_data(const StagePlan& plan, const std::string& folder) {
  if (plan.argv.empty()) return;
  spdlog::info("copying the data to {} of each host", folder);
  if (run_to_end(plan.argv) == 0) return;
  throw DataError(folder, "the data could not be copied there",
                  "see the lines above; free space, or leave --stage-to out");
}

// A job that is being cancelled or requeued already is left alone.
void requeue(const Outcome& outcome) {
  const char* earlier = std::getenv("SLURM_RESTART_COUNT");
  if (!requeue_helps(outcome.whole, earlier == nullptr ? 0 : std::atoi(earlier))) return;
  spdlog::info("queueing the job again, to go on from checkpoint {}", outcome.whole.step_after);
  run_to_end({"sh", "-c",
              "scontrol show job $SLURM_JOB_ID | grep -q JobState=RUNNING && "
              "exec scontrol requeue $SLURM_JOB_ID"});
}

// Inside Slurm a new allocation is better than a restart, since a lost node stays lost in this one;
// only a start that failed is tried once more, for a node may be coming back.
RestartOptions restart_options(const RunTask& task) {
  constexpr double kNodeReturns_s = 10;
  if (task.requeue) return {1, kNodeReturns_s, kNodeReturns_s, true};
  return task.restarts;
}

void check_requeue(const RunTask& task, const Allocation& allocation) {
  if (!task.requeue || allocation.scheduler == Scheduler::kSlurm) return;
  throw ConfigError("--requeue", "there is no Slurm job to queue again",
                    "use --max-restarts outside of Slurm");
}

}  // namespace

int execute(const RunTask& task) {
  RunConfig config = read_run_config(task.launch.config, task.launch.overrides);
  LaunchOptions options = task.launch;
  options.worker = program_beside("resnext_worker");
  const Allocation allocation = find_allocation(inspect_machine(), task.hosts);
  check_requeue(task, allocation);
  StagePlan stage;
  if (!task.stage_to.empty()) stage = make_stage_plan(allocation, config, task.stage_to);
  options.overrides.insert(options.overrides.end(), stage.overrides.begin(), stage.overrides.end());
  const LaunchPlan plan = make_launch_plan(allocation, config, options);
  if (task.dry_run) {
    std::fputs(to_shell(plan).c_str(), stdout);
    return 0;
  }
  make_folder(options.rank_logs);
  copy_data(stage, task.stage_to);
  for (const std::string& note : plan.notes) spdlog::info("{}", note);
  const Outcome outcome = supervise(plan, config.run.output, restart_options(task));
  if (task.requeue) requeue(outcome);
  return outcome.exit_code;
}

}  // namespace resnext
