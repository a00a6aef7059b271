// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/command_line.h"

#include <algorithm>
#include <map>

#include "comm/common/command_parser.h"
#include "comm/common/error.h"
#include "configs/run_keys.h"

namespace resnext {
namespace {

const std::map<std::string, Starter> kStarters = {
    {"auto", Starter::kAuto}, {"mpirun", Starter::kMpirun}, {"srun", Starter::kSrun}};

void add_hosts(CLI::App& command, std::string& hosts, std::string& hostfile) {
  command.add_option("--hosts", hosts, "hosts and ranks on each, e.g. a:8,b:8");
  command.add_option("--hostfile", hostfile, "the same from a file, a host on each line")
      ->excludes("--hosts");
}

void add_run(CLI::App& app, RunTask& task) {
  CLI::App* run = app.add_subcommand("run", "start a run, and start it again where that helps");
  run->add_option("config", task.launch.config, "run configuration (YAML)")->required();
  run->add_option("overrides", task.launch.overrides, "KEY=VALUE, e.g. optimizer.base_lr=0.2");
  run->add_option("-n,--ranks", task.launch.ranks, "ranks of all hosts; default: one a GPU or core")
      ->check(CLI::Range(1, 1'000'000));
  add_hosts(*run, task.hosts, task.hostfile);
  run->add_option("--launcher", task.launch.starter,
                  "what starts the ranks; auto: srun inside a Slurm job, else mpirun")
      ->transform(CLI::CheckedTransformer(kStarters));
  run->add_option("--interface", task.launch.interface,
                  "network interface between hosts, e.g. ib0");
  run->add_option("--rank-logs", task.launch.rank_logs, "folder for one log a rank");
  run->add_option("--max-restarts", task.restarts.max_restarts,
                  "start again so often in all after exit codes 75 and 76, but no more after 5 "
                  "starts in a row without a new checkpoint; with --requeue only starts that fail, "
                  "once unless said")
      ->check(CLI::NonNegativeNumber);
  run->add_option("--backoff", task.restarts.backoff_s,
                  "seconds before a restart; doubles while runs end early")
      ->check(CLI::NonNegativeNumber);
  run->add_option("--stage-to", task.stage_to, "folder of each host to copy the data to first");
  run->add_flag("--requeue", task.requeue, "after 75 and 76 queue the Slurm job again");
  run->add_flag("-q,--quiet", task.launch.quiet, "warnings and errors only, also of the ranks");
  run->add_flag("--dry-run", task.dry_run, "print the command line and start nothing");
}

void add_sweep(CLI::App& app, SweepTask& task) {
  CLI::App* sweep = app.add_subcommand("sweep", "run a grid of configurations");
  CLI::App* status = sweep->add_subcommand("status", "how the trials of a sweep stand");
  status->add_option("sweep", task.file, "sweep file (YAML), or the sweep's folder")->required();
  sweep->require_subcommand(0, 1);
  sweep->add_option("sweep", task.file, "sweep file (YAML)");
  sweep->add_option("overrides", task.overrides, "KEY=VALUE for every trial");
  sweep->add_option("--parallel", task.parallel, "trials at once, on disjoint GPUs or cores")
      ->check(CLI::Range(1, 1024));
  sweep
      ->add_option("--trials-per-gpu", task.trials_per_gpu,
                   "of those, so many share each GPU, or without GPUs each group of cores")
      ->check(CLI::Range(1, 64));
  sweep->add_option("-n,--ranks", task.ranks, "ranks of a trial")->check(CLI::Range(1, 1'000'000));
  sweep->add_option("--trial", task.trial, "run only the trial of this number, from 0")
      ->check(CLI::NonNegativeNumber);
  sweep->add_option("--max-restarts", task.max_restarts, "of each trial; default: 2")
      ->check(CLI::NonNegativeNumber);
  sweep->add_option("--launcher", task.launcher, "what starts the ranks of a trial")
      ->check(CLI::IsMember({"auto", "mpirun", "srun"}))
      ->take_last();
  sweep->add_option("--stage-to", task.stage_to, "folder of each host to copy the data to first")
      ->take_last();
  sweep->add_flag("--requeue", task.requeue, "after 75 and 76 queue the Slurm job again");
  sweep->add_flag("--slurm", task.slurm,
                  "submit the trials that are left and not queued as a Slurm array");
  sweep->add_option("--sbatch", task.sbatch_options, "options for sbatch, e.g. --sbatch=--time=60")
      ->allow_extra_args(false);
  sweep->add_option("--script", task.script, "batch script for --slurm");
  sweep->add_flag("-q,--quiet", task.quiet, "warnings, errors and the leaderboard only");
  sweep->add_flag("--dry-run", task.dry_run,
                  "print the trials, with --slurm the sbatch line, and start nothing");
}

void add_report(CLI::App& app, ReportTask& task) {
  CLI::App* report = app.add_subcommand("report", "draw the curves of runs, or of a sweep");
  report->add_option("folders", task.folders, "run folders, sweeps, or folders that hold such")
      ->required();
  report->add_option("-o,--output", task.output, "folder for report.html and the pictures");
  report->add_flag("--png", task.pictures, "also draw the main charts as PNG, with gnuplot");
}

const std::map<std::string, AllReduceKind> kAllReduceKinds = {{"fastest", AllReduceKind::kFastest},
                                                              {"ring", AllReduceKind::kRing},
                                                              {"tree", AllReduceKind::kTree}};

void add_prediction(CLI::App& scale, ScaleTask& task) {
  CLI::Option* predict =
      scale.add_flag("--predict", task.predict, "predict the times instead, and start nothing");
  const auto figure = [&](const char* name, auto& value, const char* text) {
    return scale.add_option(name, value, text)->needs(predict)->group("With --predict");
  };
  PredictionOptions& p = task.prediction;
  figure("--from", p.from, "scale.json whose one rank says what computing takes");
  const auto positive = [&](const char* name, double& value, const char* text) {
    figure(name, value, text)->check(CLI::Range(1e-9, 1e12));
  };
  positive("--tflops", p.tflops, "else: matrix products of a rank, 1e12 operations a second");
  positive("--memory", p.memory_gb_per_s, "and its memory, GB/s");
  figure("--spread", p.spread_percent, "standard deviation of a rank's step, percent")
      ->check(CLI::Range(0.0, 100.0));
  figure("--ranks-per-host", p.cluster.ranks_per_host, "ranks on each host")
      ->check(CLI::Range(1, 1024));
  figure("--all-reduce", p.cluster.all_reduce, "how sums are made: fastest, ring or tree")
      ->transform(CLI::CheckedTransformer(kAllReduceKinds));
  figure("--latency", p.cluster.between.latency_us, "of a message between hosts, us")
      ->check(CLI::Range(0.0, 1e9));
  positive("--bandwidth", p.cluster.between.gb_per_s, "of a host, each way, GB/s");
  figure("--inside-latency", p.cluster.inside.latency_us, "of a message within a host, us")
      ->check(CLI::Range(0.0, 1e9));
  positive("--inside-bandwidth", p.cluster.inside.gb_per_s, "of a rank, each way, GB/s");
}

void add_scale(CLI::App& app, ScaleTask& task) {
  CLI::App* scale =
      app.add_subcommand("scale", "measure training on different numbers of ranks, as one table");
  scale->add_option("config", task.launch.config, "run configuration (YAML)")->required();
  scale->add_option("overrides", task.launch.overrides, "KEY=VALUE, e.g. batch.per_rank=128");
  scale->add_option("-n,--ranks", task.ranks, "numbers of ranks, e.g. 1,2,4,8")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->default_str("1,2,4,8")
      ->check(CLI::Range(1, 1'000'000));
  scale->add_option("--steps", task.steps, "steps that count, of each")
      ->check(CLI::Range(1, 1'000'000));
  scale->add_option("--warmup", task.warmup, "steps before them")->check(CLI::Range(0, 1'000'000));
  scale->add_option("--hosts", task.hosts, "hosts and ranks on each, e.g. a:8,b:8");
  scale->add_option("--hostfile", task.hostfile, "the same from a file, a host on each line")
      ->excludes("--hosts");
  scale->add_option("--launcher", task.launch.starter, "auto, mpirun or srun")
      ->transform(CLI::CheckedTransformer(kStarters));
  scale->add_option("--interface", task.launch.interface, "network interface between hosts");
  scale->add_option("-o,--output", task.output,
                    "folder for scale.json; default: beside run.output, with the time");
  scale->add_flag("--json", task.json, "print the table as JSON");
  add_prediction(*scale, task);
}

void add_compare(CLI::App& app, CompareTask& task) {
  CLI::App* compare =
      app.add_subcommand("compare", "what differs between two configurations, and its effect");
  compare->add_option("first", task.first, "run configuration (YAML)")->required();
  compare->add_option("second", task.second, "another one")->required();
  compare->add_option("-n,--ranks", task.ranks, "ranks, for a batch that is given for each")
      ->check(CLI::Range(1, 1'000'000));
  compare->add_option("--images", task.images, "training images")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
}

void add_doctor(CLI::App& app, DoctorTask& task) {
  CLI::App* doctor = app.add_subcommand("doctor", "check what goes wrong most on this machine");
  doctor->add_option("config", task.config, "run configuration that is to run here");
  doctor->add_option("overrides", task.overrides, "KEY=VALUE");
  add_hosts(*doctor, task.hosts, task.hostfile);
  doctor->add_flag("--alone", task.alone)->group("");  // between doctors
}

Task chosen_task(const CLI::App& app) {
  if (app.got_subcommand("run")) return Task::kRun;
  if (app.got_subcommand("sweep")) {
    const bool status = app.get_subcommand("sweep")->got_subcommand("status");
    return status ? Task::kSweepStatus : Task::kSweep;
  }
  if (app.got_subcommand("report")) return Task::kReport;
  if (app.got_subcommand("scale")) return Task::kScale;
  if (app.got_subcommand("compare")) return Task::kCompare;
  return Task::kDoctor;
}

}  // namespace

LauncherCommand parse_launcher_command(int argc, const char* const* argv) {
  LauncherCommand command;
  CommandParser parser("resnext_launcher", "Starts, supervises, sweeps and reports training runs.");
  CLI::App& app = parser.app();
  app.require_subcommand(1);
  add_run(app, command.run);
  add_sweep(app, command.sweep);
  add_report(app, command.report);
  add_scale(app, command.scale);
  add_compare(app, command.compare);
  add_doctor(app, command.doctor);
  parser.complete_overrides_with(run_key_names());
  if (const auto text = parser.parse(argc, argv)) {
    command.help = *text;
    return command;
  }
  command.task = chosen_task(app);
  std::ranges::sort(command.scale.ranks);
  const auto repeated = std::ranges::unique(command.scale.ranks);
  command.scale.ranks.erase(repeated.begin(), repeated.end());
  if (command.task == Task::kSweep && command.sweep.file.empty()) {
    throw ConfigError("command line", "sweep is required", "name the sweep's file (YAML)");
  }
  return command;
}

}  // namespace resnext
