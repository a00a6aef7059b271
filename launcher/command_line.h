// The launcher's command line: one sub-command and its options.
//
// Local. Throws ConfigError for usage errors.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/launch_plan.h"
#include "launcher/restart_policy.h"
#include "launcher/scale_model.h"

namespace resnext {

enum class Task { kHelp, kRun, kSweep, kSweepStatus, kReport, kCompare, kScale, kDoctor };

struct RunTask {
  LaunchOptions launch;
  RestartOptions restarts;
  std::string hosts;
  std::string hostfile;
  std::string stage_to;  // node-local folder that the data is copied to first; empty: none
  bool requeue = false;
  bool dry_run = false;
};

struct SweepTask {
  std::string file;                    // YAML, or the snapshot of what was submitted
  std::vector<std::string> overrides;  // for all trials, on top of the file's
  int parallel = 1;
  int trials_per_gpu = 1;
  int ranks = 0;          // of a trial
  int trial = -1;         // only this one (of a Slurm array); -1: all
  int max_restarts = -1;  // -1: not said
  std::string launcher = "auto";
  std::string stage_to;
  bool requeue = false;
  bool slurm = false;
  std::vector<std::string> sbatch_options;
  std::string script;  // for sbatch; empty: the one that is installed
  bool quiet = false;
  bool dry_run = false;
};

struct ReportTask {
  std::vector<std::string> folders;
  std::string output;  // folder; empty: that of the run, or what all `folders` lie in
  bool pictures = false;
};

// What a prediction knows of the machines. The defaults are of hosts with 8 H100: the rates of
// matrix products and memory that such a GPU reaches, NVLink (450 GB/s each way) and eight network
// cards of 400 Gbit/s, latencies as NCCL counts them (ring, Simple: src/graph/tuning.cc).
struct PredictionOptions {
  std::string from;  // scale.json whose one rank says what computing takes; empty: by the rates
  double tflops = 800;
  double memory_gb_per_s = 3000;
  double spread_percent = 1;  // standard deviation of a rank's step
  Cluster cluster{8, {3.4, 450}, {14, 400}, AllReduceKind::kFastest};
};

struct ScaleTask {
  LaunchOptions launch;  // but its ranks
  std::string hosts, hostfile;
  std::vector<int> ranks = {1, 2, 4, 8};  // ascending, each once
  int64_t steps = 100;                    // that count
  int64_t warmup = 30;                    // steps before them
  std::string output;                     // folder; empty: beside run.output, with the time
  bool json = false;
  bool predict = false;
  PredictionOptions prediction;
};

struct DoctorTask {
  std::string config;  // may be empty
  std::vector<std::string> overrides;
  std::string hosts, hostfile;
  bool alone = false;  // one of several hosts, asked by another's doctor
};

struct CompareTask {
  std::string first, second;   // run configurations
  int64_t ranks = 8;           // for a batch that is given for each of them
  int64_t images = 1'281'167;  // of the training split: ImageNet-1K's
};

struct LauncherCommand {
  Task task = Task::kHelp;
  RunTask run;
  SweepTask sweep;
  ReportTask report;
  ScaleTask scale;
  CompareTask compare;
  DoctorTask doctor;
  std::string help;
};

LauncherCommand parse_launcher_command(int argc, const char* const* argv);

}  // namespace resnext
