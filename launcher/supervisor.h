// Runs a launch plan to its end: hands signals on as the workers understand them, and starts the
// run again from its last checkpoint where that helps.
//
// SIGINT, SIGTERM and SIGUSR1 all reach the ranks as SIGUSR1 (mpirun would answer SIGTERM by
// killing them within two seconds), upon which they save and leave with 75; a second SIGINT ends
// the ranks at once. Local, one thread. Throws ConfigError when the program cannot be started.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

#include "launcher/launch_plan.h"
#include "launcher/restart_policy.h"

namespace resnext {

struct Outcome {
  int exit_code = 0;  // of the whole: the last attempt's, in the program's own terms
  Attempt whole;      // the last attempt, but with the step_before of the first
};

Outcome supervise(const LaunchPlan& plan, const std::filesystem::path& run_folder,
                  const RestartOptions& options);

}  // namespace resnext
