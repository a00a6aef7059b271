// The signals that ask a program of this project to stop, and how it keeps them from its first
// instruction on.
//
// resnext_worker and resnext_launcher are small programs (start_program.cpp) that block these
// signals and become the real one; what comes while that is being loaded waits until it is ready
// for it. A SIGHUP that is ignored when a program starts (nohup(1)) stays so. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>

namespace resnext {

// The requests of a terminal, of kill(1), of schedulers' notices, and of a session that ends.
inline constexpr int kStopSignals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP};

inline bool is_ignored_hangup(int signal) {
  struct sigaction now = {};
  return signal == SIGHUP && ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

inline sigset_t stop_signal_set() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : kStopSignals) {
    if (!is_ignored_hangup(signal)) ::sigaddset(&set, signal);
  }
  return set;
}

}  // namespace resnext
