// SPDX-License-Identifier: BSD-3-Clause
#include "worker/stop_signal.h"

#include <csignal>
#include <initializer_list>

namespace resnext {
namespace {

// The one piece of state that a signal handler can reach.
volatile std::sig_atomic_t stop_flag = 0;

void remember(int signal) {
  if (stop_flag && signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  stop_flag = 1;
}

}  // namespace

void watch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaction(signal, &action, nullptr);
}

bool stop_signalled() {
  return stop_flag != 0;
}

}  // namespace resnext
