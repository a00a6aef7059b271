// SPDX-License-Identifier: BSD-3-Clause
#include "worker/stop_signal.h"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

#include "comm/common/stop_signals.h"

namespace resnext {
namespace {

// The state that a signal handler can reach.
std::atomic<bool> stop_flag = false;
std::atomic<int64_t> first_interrupt = 0;  // ns; 0: none yet
static_assert(std::atomic<int64_t>::is_always_lock_free);

constexpr int64_t kSecond = 1'000'000'000;  // a key held down, or two senders, mean one request

int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

void remember(int signal) {
  stop_flag = true;
  if (signal != SIGINT) return;
  int64_t first = 0;
  const int64_t now = now_ns();
  if (first_interrupt.compare_exchange_strong(first, now) || now - first < kSecond) return;
  ::signal(SIGINT, SIG_DFL);
  ::raise(SIGINT);
}

}  // namespace

void watch_stop_signals() {
  const sigset_t signals = stop_signal_set();
  struct sigaction action = {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  for (const int signal : kStopSignals) {
    if (::sigismember(&signals, signal) == 1) ::sigaction(signal, &action, nullptr);
  }
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

bool stop_signalled() {
  return stop_flag;
}

}  // namespace resnext
