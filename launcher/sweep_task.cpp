// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_task.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <filesystem>

#include "comm/common/error.h"
#include "launcher/child_process.h"
#include "launcher/leaderboard.h"
#include "launcher/programs.h"
#include "launcher/sweep_pool.h"

namespace resnext {
namespace {

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

// Numbers of the trials that this call is to run.
std::vector<size_t> unfinished(const SweepTask& task, const std::vector<Trial>& trials,
                               const SweepFolder& folder) {
  if (task.trial >= static_cast<int>(trials.size())) {
    throw ConfigError("--trial",
                      fmt::format("{} is not one of {} trials", task.trial, trials.size()),
                      fmt::format("give a number from 0 to {}", trials.size() - 1));
  }
  std::vector<size_t> numbers;
  for (size_t i = 0; i < trials.size(); ++i) {
    const bool wanted = task.trial < 0 || task.trial == static_cast<int>(i);
    if (wanted && !folder.finished(trials[i])) numbers.push_back(i);
  }
  return numbers;
}

int submit(const SweepTask& task, const std::vector<size_t>& numbers) {
  const std::string script = task.script.empty() ? job_script("sweep_cardinality.sh") : task.script;
  const std::vector<std::string> argv = sbatch_command(task, script, numbers);
  spdlog::info("{}", fmt::join(argv, " "));
  const int code = run_to_end(argv);
  return code == 0 ? 0 : static_cast<int>(ExitCode::kConfig);
}

// Trials inside a Slurm job get all of it, since a step does not know of another's share.
std::vector<Resources> shares_for(const SweepTask& task) {
  const Machine machine = inspect_machine();
  if (task.parallel == 1) return {Resources{}};
  if (machine.environment.contains("SLURM_JOB_ID")) {
    throw ConfigError("--parallel", "trials inside a Slurm job run one after another",
                      "submit them side by side with --slurm");
  }
  return share_out(resources_of(machine), task.parallel);
}

PoolOptions pool_options(const SweepTask& task) {
  PoolOptions options;
  options.run_options = {"--max-restarts", std::to_string(task.max_restarts), "--launcher",
                         task.launcher};
  if (task.ranks > 0) {
    options.run_options.insert(options.run_options.end(), {"-n", std::to_string(task.ranks)});
  }
  if (task.requeue) options.run_options.push_back("--requeue");
  if (!task.stage_to.empty()) {
    options.run_options.insert(options.run_options.end(), {"--stage-to", task.stage_to});
  }
  options.log_to_file = task.trial < 0;
  return options;
}

}  // namespace

std::vector<std::string> sbatch_command(const SweepTask& task, const std::string& script,
                                        const std::vector<size_t>& trials) {
  std::vector<std::string> argv = {"sbatch"};
  const std::string throttle = task.parallel > 1 ? fmt::format("%{}", task.parallel) : "";
  argv.push_back(fmt::format("--array={}{}", fmt::join(trials, ","), throttle));
  argv.insert(argv.end(), task.sbatch_options.begin(), task.sbatch_options.end());
  argv.push_back(script);
  argv.push_back(std::filesystem::absolute(task.file).lexically_normal().string());
  argv.insert(argv.end(), task.overrides.begin(), task.overrides.end());
  return argv;
}

int execute(const SweepTask& task) {
  const SweepFile sweep = read_sweep(task.file);
  const std::vector<Trial> trials = expand_sweep(sweep, task.overrides, task.ranks);
  print(describe_trials(trials));
  const SweepFolder folder(sweep, trials);
  const std::vector<size_t> numbers = unfinished(task, trials, folder);
  if (task.dry_run) return 0;
  const std::vector<Resources> shares = shares_for(task);
  folder.prepare();
  spdlog::info("{} trials, {} to run, in {}", trials.size(), numbers.size(), sweep.output);
  if (task.slurm && !numbers.empty()) return submit(task, numbers);
  std::vector<const Trial*> left;
  for (const size_t i : numbers) left.push_back(&trials[i]);
  PoolOptions options = pool_options(task);
  options.on_end = [&](const Trial&) { write_leaderboard(sweep, trials, folder); };
  const int code = run_trials(folder, left, shares, options);
  print(write_leaderboard(sweep, trials, folder));
  return code;
}

}  // namespace resnext
