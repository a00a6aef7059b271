// The launcher's command line: one sub-command and its options.
//
// Local. Throws ConfigError for usage errors.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "launcher/launch_plan.h"
#include "launcher/restart_policy.h"

namespace resnext {

enum class Task { kHelp, kRun, kSweep, kSweepStatus, kReport, kDoctor };

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

struct DoctorTask {
  std::string config;  // may be empty
  std::vector<std::string> overrides;
  std::string hosts, hostfile;
  bool alone = false;  // one of several hosts, asked by another's doctor
};

struct LauncherCommand {
  Task task = Task::kHelp;
  RunTask run;
  SweepTask sweep;
  ReportTask report;
  DoctorTask doctor;
  std::string help;
};

LauncherCommand parse_launcher_command(int argc, const char* const* argv);

}  // namespace resnext
