// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/signal_inbox.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>

#include "comm/common/stop_signals.h"

namespace resnext {
namespace {

constexpr double kOneRequest_s = 1;

sigset_t watched_signals() {
  sigset_t set = stop_signal_set();
  ::sigaddset(&set, SIGCHLD);
  return set;
}

// Negative when none came in time.
int take(const sigset_t& set, double timeout_s) {
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(timeout_s);
  timeout.tv_nsec = static_cast<long>((timeout_s - std::floor(timeout_s)) * 1e9);
  return ::sigtimedwait(&set, nullptr, &timeout);
}

double now_s() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

}  // namespace

SignalInbox::SignalInbox() {
  const sigset_t set = watched_signals();
  ::sigprocmask(SIG_BLOCK, &set, &blocked_before_);
  const char* earlier = std::getenv("RESNEXT_ASKED_TO_STOP");
  if (earlier != nullptr && *earlier != '\0') stop_signal_ = SIGTERM;
  ::unsetenv("RESNEXT_ASKED_TO_STOP");
}

SignalInbox::~SignalInbox() {
  stop_signal();
  ::sigprocmask(SIG_SETMASK, &blocked_before_, nullptr);
}

void SignalInbox::let_in() {
  const sigset_t set = watched_signals();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  ::sigprocmask(SIG_BLOCK, nullptr, &blocked_before_);
}

void SignalInbox::remember(int signal) {
  if (signal == SIGCHLD) return;
  if (stop_signal_ == 0) stop_signal_ = signal;
  if (signal != SIGINT) return;
  if (first_interrupt_ < 0) first_interrupt_ = now_s();
  interrupted_again_ = interrupted_again_ || now_s() - first_interrupt_ >= kOneRequest_s;
}

int SignalInbox::wait(double timeout_s) {
  const int number = take(watched_signals(), timeout_s);
  if (number > 0) remember(number);
  return number < 0 ? 0 : number;
}

int SignalInbox::stop_signal() {
  int number = 0;
  while ((number = take(stop_signal_set(), 0)) > 0) remember(number);
  return stop_signal_;
}

}  // namespace resnext
