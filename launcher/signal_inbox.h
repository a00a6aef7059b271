// Stop requests (comm/common/stop_signals.h) and ends of children, which wait to be taken.
//
// A job script that was asked to stop before it became the launcher says so in the environment
// variable RESNEXT_ASKED_TO_STOP. While an inbox lives, none of them interrupts or ends this
// process, however many come; the first request is remembered. One at a time, made first in main;
// children start with the signals let in. Local, one thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>

namespace resnext {

class SignalInbox {
 public:
  SignalInbox();
  // Forgets what was not taken, and blocks what was blocked before. In a program that was started
  // with these signals blocked nothing can hit it after its result stands.
  ~SignalInbox();
  SignalInbox(const SignalInbox&) = delete;
  SignalInbox& operator=(const SignalInbox&) = delete;

  // The next signal, SIGCHLD among them; 0 after `timeout_s`.
  int wait(double timeout_s);

  // The first stop request so far; 0: none came.
  int stop_signal();

  // Whether a second SIGINT came, at least a second after the first (two senders, or a key held
  // down, mean one request): end at once, without saving.
  bool must_end_at_once() const { return interrupted_again_; }

  // From here on signals do what they do by default; for tasks that may die at any time.
  void let_in();

 private:
  void remember(int signal);

  sigset_t blocked_before_{};
  int stop_signal_ = 0;
  double first_interrupt_ = -1;  // seconds of the monotonic clock
  bool interrupted_again_ = false;
};

}  // namespace resnext
