// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_task.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "comm/common/error.h"
#include "comm/common/folder_lock.h"
#include "launcher/leaderboard.h"
#include "launcher/programs.h"
#include "launcher/sweep_pool.h"
#include "launcher/sweep_snapshot.h"
#include "launcher/sweep_submissions.h"

namespace resnext {
namespace {

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

SweepSnapshot read_trials(const SweepTask& task) {
  if (!is_snapshot(task.file)) {
    const SweepFile sweep = read_sweep(task.file);
    return {sweep, expand_sweep(sweep, task.overrides, task.ranks)};
  }
  if (task.overrides.empty()) return read_snapshot(task.file, task.ranks, task.trial);
  throw ConfigError("override '" + task.overrides.front() + "'",
                    "cannot change trials that were submitted", "give it when submitting");
}

// Numbers of the trials that this call is to run: not finished, and not in the hands of Slurm.
std::vector<size_t> left_to_do(const SweepTask& task, const std::vector<Trial>& trials,
                               const SweepFolder& folder) {
  std::map<size_t, std::string> unfinished;
  std::set<std::string> names;
  for (size_t i = 0; i < trials.size(); ++i) {
    const bool wanted = task.trial < 0 || task.trial == static_cast<int>(i);
    if (!wanted || folder.finished(trials[i])) continue;
    unfinished[i] = trials[i].name;
    names.insert(trials[i].name);
  }
  std::set<std::string> queued;
  if (task.trial < 0) queued = queued_trials(folder.path(), names);
  if (!queued.empty()) spdlog::info("{} trials are in Slurm's queue already", queued.size());
  std::vector<size_t> numbers;
  for (const auto& [number, name] : unfinished) {
    if (!queued.contains(name)) numbers.push_back(number);
  }
  return numbers;
}

// All trials, or the one that is asked for.
std::vector<Trial> wanted(const SweepTask& task, const std::vector<Trial>& trials) {
  const auto number = static_cast<size_t>(task.trial);
  if (task.trial < 0 || number >= trials.size()) return trials;
  return {trials[number]};
}

// Trials may have been run without the sweep, and a line of the journal may have been lost.
void note_finished(const std::vector<Trial>& trials, SweepFolder& folder) {
  for (const Trial& trial : trials) {
    const TrialRecord record = folder.record(trial);
    if (record.finished || !folder.finished(trial)) continue;
    folder.write_record(trial, with_results(record, folder.folder(trial)));
  }
}

std::vector<std::string> sbatch_command(const SweepTask& task, const SweepSnapshot& sweep,
                                        const std::vector<size_t>& numbers) {
  const std::string script = task.script.empty() ? job_script("sweep_cardinality.sh") : task.script;
  return sbatch_command(task, script, snapshot_path(sweep.sweep, sweep.trials).string(), numbers);
}

int submit(const SweepTask& task, const SweepSnapshot& sweep, const std::vector<size_t>& numbers) {
  const std::vector<std::string> argv = sbatch_command(task, sweep, numbers);
  write_snapshot(sweep.sweep, sweep.trials);
  spdlog::info("{}", fmt::join(argv, " "));
  Submission submission;
  submission.job = submit_job(argv);
  if (submission.job.empty()) {
    throw ConfigError("sbatch", "did not take the job", "see its lines above");
  }
  for (const size_t i : numbers) submission.trials[i] = sweep.trials[i].name;
  add_submission(sweep.sweep.output, submission);
  spdlog::info("submitted as job {}", submission.job);
  return 0;
}

// A task of an array is not the sweep: its trial has a lock of its own.
std::optional<FolderLock> lock_sweep_folder(const SweepTask& task, const SweepFile& sweep,
                                            SignalInbox& inbox) {
  if (task.trial >= 0) return std::nullopt;
  LockOptions options;
  options.name = kSweepLock;
  options.program = "resnext_launcher sweep";
  options.sleep = [&inbox](double seconds) { inbox.wait(seconds); };
  return FolderLock::take(posix_files(), sweep.output, options);
}

// Trials inside a Slurm job get all of it, since a step does not know of another's share.
std::vector<Resources> shares_for(const SweepTask& task) {
  const Machine machine = inspect_machine();
  if (task.parallel == 1) return {Resources{}};
  if (machine.environment.contains("SLURM_JOB_ID")) {
    throw ConfigError("--parallel", "trials inside a Slurm job run one after another",
                      "submit them side by side with --slurm");
  }
  return share_out(resources_of(machine), task.parallel, task.trials_per_gpu);
}

// How `run` is to start each trial: only what was asked for.
std::vector<std::string> run_options(const SweepTask& task) {
  std::vector<std::string> words;
  const auto add = [&](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  if (task.ranks > 0) add("-n", std::to_string(task.ranks));
  if (task.max_restarts >= 0) add("--max-restarts", std::to_string(task.max_restarts));
  if (task.launcher != "auto") add("--launcher", task.launcher);
  if (!task.stage_to.empty()) add("--stage-to", task.stage_to);
  return words;
}

PoolOptions pool_options(const SweepTask& task) {
  constexpr int kRestarts = 2;
  PoolOptions options;
  options.run_options = run_options(task);
  const auto add = [&](const std::string& word) { options.run_options.push_back(word); };
  if (task.requeue) {
    add("--requeue");
  } else if (task.max_restarts < 0) {
    add("--max-restarts=" + std::to_string(kRestarts));
  }
  if (task.quiet && task.trial >= 0) add("--quiet");  // else its lines go to a file
  options.log_to_file = task.trial < 0;
  return options;
}

int run_here(const SweepTask& task, const SweepSnapshot& sweep, SweepFolder& folder,
             const std::vector<size_t>& numbers, std::optional<FolderLock>& lock,
             SignalInbox& inbox) {
  const auto leaderboard = [&] { return write_leaderboard(sweep.sweep, sweep.trials, folder); };
  std::vector<const Trial*> left;
  for (const size_t i : numbers) left.push_back(&sweep.trials[i]);
  PoolOptions options = pool_options(task);
  options.on_end = [&](const Trial&) { leaderboard(); };
  options.may_go_on = [&] { return !lock || lock->heartbeat(); };
  const int code = run_trials(folder, left, shares_for(task), options, inbox);
  print(leaderboard());
  return code;
}

}  // namespace

std::vector<std::string> sbatch_command(const SweepTask& task, const std::string& script,
                                        const std::string& snapshot,
                                        const std::vector<size_t>& trials) {
  std::vector<std::string> argv = {"sbatch"};
  const std::string throttle = task.parallel > 1 ? fmt::format("%{}", task.parallel) : "";
  argv.push_back(fmt::format("--array={}{}", fmt::join(trials, ","), throttle));
  argv.insert(argv.end(), task.sbatch_options.begin(), task.sbatch_options.end());
  argv.insert(argv.end(), {script, snapshot});
  const std::vector<std::string> how = run_options(task);
  argv.insert(argv.end(), how.begin(), how.end());
  return argv;
}

int execute(const SweepTask& task, SignalInbox& inbox) {
  const SweepSnapshot sweep = read_trials(task);
  const SweepSnapshot mine = {sweep.sweep, wanted(task, sweep.trials)};
  if (!task.quiet || task.dry_run) print(describe_trials(mine.trials));
  SweepFolder folder(sweep.sweep, sweep.trials, task.trial);
  if (task.dry_run) {
    const std::vector<size_t> numbers = left_to_do(task, sweep.trials, folder);
    LaunchPlan line;
    if (task.slurm && !numbers.empty()) line.argv = sbatch_command(task, sweep, numbers);
    if (!line.argv.empty()) print(to_shell(line));
    return 0;
  }
  shares_for(task);  // throws where trials do not fit side by side
  std::optional<FolderLock> lock = lock_sweep_folder(task, sweep.sweep, inbox);
  const std::vector<size_t> numbers = left_to_do(task, sweep.trials, folder);
  if (!is_snapshot(task.file)) folder.prepare(task.trial);
  if (task.trial < 0) note_finished(sweep.trials, folder);
  spdlog::info("{} trials, {} to run, in {}", sweep.trials.size(), numbers.size(),
               sweep.sweep.output);
  if (task.slurm && !numbers.empty()) return submit(task, sweep, numbers);
  return run_here(task, sweep, folder, numbers, lock, inbox);
}

}  // namespace resnext
