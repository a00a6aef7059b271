// Remembers that somebody asked this process to stop: SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP.
//
// The training loop looks once a step; ranks agree through the step's averaged flags, so one rank's
// signal stops all after the same step. A second SIGINT, a second or more after the first, ends the
// process at once (by that signal: 130 for a shell); no other signal does. Async-signal-safe
// inside.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace resnext {

// Installs the handlers and lets in what has waited since the start (see
// comm/common/stop_signals.h). Call first in main, and again after MPI has started, which may have
// installed its own; what was asked before stays asked.
void watch_stop_signals();

// True from the first signal on.
bool stop_signalled();

}  // namespace resnext
