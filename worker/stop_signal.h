// Remembers that somebody asked this process to stop: SIGTERM, SIGINT or SIGUSR1.
//
// The training loop looks once a step; ranks agree through the step's averaged flags, so one rank's
// signal stops all after the same step. A second SIGINT kills at once. Async-signal-safe inside.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace resnext {

// Installs the handlers. Call once, from main, after MPI has started (it installs its own).
void watch_stop_signals();

// True from the first signal on.
bool stop_signalled();

}  // namespace resnext
