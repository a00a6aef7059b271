// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_task.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
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

// Numbers of the trials that this call is to run: not done, and not in the hands of Slurm.
std::vector<size_t> left_to_do(const SweepTask& task, const std::vector<Trial>& trials,
                               const SweepFolder& folder) {
  std::map<size_t, std::string> unfinished;
  std::set<std::string> names;
  for (size_t i = 0; i < trials.size(); ++i) {
    const bool wanted = task.trial < 0 || task.trial == static_cast<int>(i);
    if (!wanted || folder.done(trials[i])) continue;
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

// Trials may have been run without the sweep, a line of the journal may have been lost, and rungs
// may have been added.
void note_results(const SweepFile& sweep, const std::vector<Trial>& trials, SweepFolder& folder) {
  for (const Trial& trial : trials) {
    const TrialRecord record = folder.record(trial);
    const bool lacks_end = !record.finished && folder.finished(trial);
    const bool lacks_rungs = std::ranges::any_of(
        sweep.stop.rungs, [&](int64_t epochs) { return !record.rungs.contains(epochs); });
    if (!lacks_end && !lacks_rungs) continue;
    const TrialRecord now = folder.with_results(record, trial);
    const bool adds_rungs = std::ranges::any_of(
        now.rungs, [&](const auto& rung) { return !record.rungs.contains(rung.first); });
    if (lacks_end || adds_rungs) folder.write_record(trial, now);
  }
}

std::vector<std::string> sbatch_command(const SweepTask& task, const SweepSnapshot& sweep,
                                        const std::vector<size_t>& numbers,
                                        const std::string& after) {
  const std::string script = task.script.empty() ? job_script("sweep_cardinality.sh") : task.script;
  return sbatch_command(task, script, snapshot_path(sweep.sweep, sweep.trials).string(), numbers,
                        after);
}

// Arrays that follow each other: one to each rung that is to be decided, one to the end.
size_t arrays_of(const SweepSnapshot& sweep, const SweepFolder& folder) {
  return sweep.sweep.stop.rungs.size() - folder.halving().rung + 1;
}

std::string submit(const SweepTask& task, const SweepSnapshot& sweep,
                   const std::vector<size_t>& numbers, const std::string& after) {
  const std::vector<std::string> argv = sbatch_command(task, sweep, numbers, after);
  spdlog::info("{}", fmt::join(argv, " "));
  Submission submission;
  submission.job = submit_job(argv);
  if (submission.job.empty()) {
    throw ConfigError("sbatch", "did not take the job", "see its lines above");
  }
  for (const size_t i : numbers) submission.trials[i] = sweep.trials[i].name;
  add_submission(sweep.sweep.output, submission);
  spdlog::info("submitted as job {}", submission.job);
  return submission.job;
}

int submit_all(const SweepTask& task, const SweepSnapshot& sweep, const SweepFolder& folder,
               const std::vector<size_t>& numbers) {
  write_snapshot(sweep.sweep, sweep.trials);
  std::string job;
  for (size_t i = 0; i < arrays_of(sweep, folder); ++i) job = submit(task, sweep, numbers, job);
  return 0;
}

void print_submission(const SweepTask& task, const SweepSnapshot& sweep, const SweepFolder& folder,
                      const std::vector<size_t>& numbers) {
  for (size_t i = 0; i < arrays_of(sweep, folder); ++i) {
    LaunchPlan line;
    line.argv = sbatch_command(task, sweep, numbers, i == 0 ? "" : "JOB_ABOVE");
    print(to_shell(line));
  }
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

// Those of `numbers` that have not come to the rung that is to be decided; without one, to the end.
std::vector<const Trial*> left_of_round(const SweepSnapshot& sweep, const SweepFolder& folder,
                                        const std::vector<size_t>& numbers) {
  const std::optional<int64_t> pause = folder.halving().pause;
  std::vector<const Trial*> left;
  for (const size_t i : numbers) {
    const Trial& trial = sweep.trials[i];
    const bool there = pause && folder.record(trial).rungs.contains(*pause);
    if (!there && folder.stopped_at(trial) == 0) left.push_back(&trial);
  }
  return left;
}

PoolOptions to_rung(PoolOptions options, std::optional<int64_t> epochs) {
  if (epochs) options.run_options.push_back(fmt::format("run.pause_epoch={}", *epochs));
  return options;
}

// A round to each rung, then one to the end; without rungs that one alone.
int run_rounds(const SweepTask& task, const SweepSnapshot& sweep, SweepFolder& folder,
               const std::vector<size_t>& numbers, const PoolOptions& options, SignalInbox& inbox) {
  const std::vector<Resources> shares = shares_for(task);
  int code = 0;
  while (true) {
    folder.decide();
    const Halving halving = folder.halving();
    const int of_round = run_trials(folder, left_of_round(sweep, folder, numbers), shares,
                                    to_rung(options, halving.pause), inbox);
    if (code == 0) code = of_round;
    if (!halving.pause) return code;
    folder.read_journal();  // of other tasks of the array
    folder.decide();
    if (folder.halving().rung > halving.rung) continue;
    spdlog::info("rung {} waits for {}", halving.rung + 1,
                 fmt::join(folder.halving().awaited, ", "));
    return code;
  }
}

int run_here(const SweepTask& task, const SweepSnapshot& sweep, SweepFolder& folder,
             const std::vector<size_t>& numbers, std::optional<FolderLock>& lock,
             SignalInbox& inbox) {
  const auto leaderboard = [&] { return write_leaderboard(sweep.sweep, sweep.trials, folder); };
  PoolOptions options = pool_options(task);
  options.on_end = [&](const Trial&) { leaderboard(); };
  options.may_go_on = [&] { return !lock || lock->heartbeat(); };
  const int code = run_rounds(task, sweep, folder, numbers, options, inbox);
  print(leaderboard());
  return code;
}

}  // namespace

std::vector<std::string> sbatch_command(const SweepTask& task, const std::string& script,
                                        const std::string& snapshot,
                                        const std::vector<size_t>& trials,
                                        const std::string& after) {
  std::vector<std::string> argv = {"sbatch"};
  const std::string throttle = task.parallel > 1 ? fmt::format("%{}", task.parallel) : "";
  argv.push_back(fmt::format("--array={}{}", fmt::join(trials, ","), throttle));
  argv.insert(argv.end(), task.sbatch_options.begin(), task.sbatch_options.end());
  if (!after.empty()) argv.push_back("--dependency=afterany:" + after);
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
    if (task.slurm && !numbers.empty()) print_submission(task, sweep, folder, numbers);
    return 0;
  }
  shares_for(task);  // throws where trials do not fit side by side
  std::optional<FolderLock> lock = lock_sweep_folder(task, sweep.sweep, inbox);
  if (!is_snapshot(task.file)) folder.prepare(task.trial);
  if (task.trial < 0) note_results(sweep.sweep, sweep.trials, folder);
  folder.decide();
  const std::vector<size_t> numbers = left_to_do(task, sweep.trials, folder);
  spdlog::info("{} trials, {} to run, in {}", sweep.trials.size(), numbers.size(),
               sweep.sweep.output);
  if (task.slurm && !numbers.empty()) return submit_all(task, sweep, folder, numbers);
  return run_here(task, sweep, folder, numbers, lock, inbox);
}

}  // namespace resnext
