// The command line and environment that start a run, worked out from where it may run.
//
// A pure function: the same allocation, configuration and options give the same plan. One rank a
// GPU, or a rank a core where there is none. Options of mpirun are those of Open MPI 4.1
// (mpirun(1)), of srun those of Slurm 22.05 (srun(1)). Throws ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "configs/run_config.h"
#include "launcher/allocation.h"

namespace resnext {

enum class Starter { kAuto, kMpirun, kSrun };

struct LaunchOptions {
  int ranks = 0;                     // of all hosts; 0: one a GPU, or one a core
  Starter starter = Starter::kAuto;  // auto: srun inside a Slurm job, else mpirun
  std::string interface;             // of the network between hosts; empty: chosen by the MPI
  std::string rank_logs;             // folder for one log a rank; empty: none
  std::string worker;                // the program
  std::string config;                // its configuration file
  std::vector<std::string> overrides;
  std::string lock_token;  // of the launcher's lock, handed to the ranks; empty: none
  std::string terminal;    // for kTerminalVariable of ranks under mpirun; empty: there is none
  bool quiet = false;      // the ranks are to tell warnings and errors only
};

struct LaunchPlan {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> environment;  // added to this process's
  int ranks = 1;
  bool under_mpirun = false;
  std::string rank_logs;  // folder of one log a rank; empty: none
  bool only_rank_logs =
      false;  // the ranks write there alone (srun), not to our outputs too (mpirun)
  std::vector<std::string> notes;  // for people: what was decided, what looks wrong
};

LaunchPlan make_launch_plan(const Allocation& allocation, const RunConfig& config,
                            const LaunchOptions& options);

// The plan as lines that a shell would run.
std::string to_shell(const LaunchPlan& plan);

}  // namespace resnext
