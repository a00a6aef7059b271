// Runs a launch plan to its end: hands signals on as the workers understand them, and starts the
// run again from its last checkpoint where that helps.
//
// Every stop request reaches the ranks as SIGUSR1, which mpirun and srun hand on, upon which they
// save and leave: 75. It is sent once the program minds it, and again each second, since a starter
// forgets what comes before its ranks run. A stop request between two attempts is 75 too. A second
// SIGINT ends the ranks at once: 130. Nothing of an attempt lives when the next begins, or when
// supervise() returns. Local, one thread. Throws ConfigError when the program cannot be started, or
// when somebody has taken over the folder's lock while this process stood still.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

#include "comm/common/folder_lock.h"
#include "launcher/launch_plan.h"
#include "launcher/restart_policy.h"
#include "launcher/signal_inbox.h"

namespace resnext {

struct Outcome {
  int exit_code = 0;  // of the whole: the last attempt's, in the program's own terms
  Attempt whole;      // the last attempt, but with the serial_before of the first
};

Outcome supervise(const LaunchPlan& plan, const std::filesystem::path& run_folder,
                  const RestartOptions& options, SignalInbox& inbox, FolderLock& lock);

}  // namespace resnext
