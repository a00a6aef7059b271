// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/run_task.h"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "comm/common/error.h"
#include "comm/common/folder_lock.h"
#include "comm/common/log.h"
#include "configs/yaml_reader.h"
#include "launcher/child_process.h"
#include "launcher/programs.h"
#include "launcher/reaper.h"
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

// After a stop request the data may be there or not; nobody reads it then.
void copy_data(const StagePlan& plan, const RunTask& task, const LaunchPlan& launch,
               SignalInbox& inbox, FolderLock& lock) {
  if (plan.argv.empty()) return;
  spdlog::info("copying the data to {} of each host", task.stage_to);
  const Reaper reaper;
  const int code = run_until_stopped({.argv = plan.argv, .environment = launch.environment}, inbox,
                                     [&] { lock.heartbeat(); });
  reaper.end_strays();
  if (code == 0 || inbox.stop_signal() != 0) return;
  throw DataError(task.stage_to, "the data could not be copied there",
                  "see the lines above; free space, or leave --stage-to out");
}

// A job that is being cancelled or requeued already is left alone.
void requeue(const Outcome& outcome) {
  const char* earlier = std::getenv("SLURM_RESTART_COUNT");
  if (!requeue_helps(outcome.whole, earlier == nullptr ? 0 : std::atoi(earlier))) return;
  spdlog::info("queueing the job again");
  run_to_end({{"sh", "-c",
               "scontrol show job $SLURM_JOB_ID | grep -q JobState=RUNNING && "
               "exec scontrol requeue $SLURM_JOB_ID"}});
}

// Inside Slurm a new allocation is better than a restart, since a lost node stays lost in this one;
// only a start that failed is tried again, once unless told otherwise: a node may be coming back.
RestartOptions restart_options(const RunTask& task) {
  constexpr double kNodeReturns_s = 10;
  if (!task.requeue) return task.restarts;
  const int tries = task.restarts.max_restarts > 0 ? task.restarts.max_restarts : 1;
  return {tries, kNodeReturns_s, kNodeReturns_s, true};
}

void check_requeue(const RunTask& task, const Allocation& allocation) {
  if (!task.requeue || allocation.scheduler == Scheduler::kSlurm) return;
  throw ConfigError("--requeue", "there is no Slurm job to queue again",
                    "use --max-restarts outside of Slurm");
}

// While it waits for a lock of another host, stop requests are remembered.
FolderLock lock_run_folder(const RunConfig& config, SignalInbox& inbox) {
  LockOptions options;
  options.name = kLauncherLock;
  options.program = "resnext_launcher run";
  options.sleep = [&inbox](double seconds) { inbox.wait(seconds); };
  return FolderLock::take(posix_files(), config.run.output, options);
}

// What is to be started, of which the lock's token is the last piece.
class Preparation {
 public:
  explicit Preparation(const RunTask& task)
      : config(read_run_config(task.launch.config, task.launch.overrides)),
        allocation(find_allocation(
            inspect_machine(), task.hostfile.empty() ? task.hosts : read_hostfile(task.hostfile))),
        options(task.launch) {
    options.worker = program_beside("resnext_worker");
    check_requeue(task, allocation);
    if (!task.stage_to.empty()) stage = make_stage_plan(allocation, config, task.stage_to);
    options.overrides.insert(options.overrides.end(), stage.overrides.begin(),
                             stage.overrides.end());
  }
  LaunchPlan plan(const std::string& token) {
    options.lock_token = token;
    if (!token.empty()) options.terminal = to_variable(log_console());
    return make_launch_plan(allocation, config, options);
  }

  const RunConfig config;
  const Allocation allocation;
  LaunchOptions options;
  StagePlan stage;
};

}  // namespace

int execute(const RunTask& task, SignalInbox& inbox) {
  Preparation prepared(task);
  LaunchPlan plan = prepared.plan("");
  if (task.dry_run) {
    std::fputs(to_shell(plan).c_str(), stdout);
    return 0;
  }
  FolderLock lock = lock_run_folder(prepared.config, inbox);
  plan = prepared.plan(lock.token());
  make_folder(prepared.options.rank_logs);
  copy_data(prepared.stage, task, plan, inbox, lock);
  for (const std::string& note : plan.notes) spdlog::info("{}", note);
  const Outcome outcome =
      supervise(plan, prepared.config.run.output, restart_options(task), inbox, lock);
  lock.release();  // the job's next start must not wait for the lease
  if (task.requeue) requeue(outcome);
  return outcome.exit_code;
}

}  // namespace resnext
