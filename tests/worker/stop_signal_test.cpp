// Which signals stop the worker, and which end it; in processes of their own.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/stop_signal.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "comm/common/stop_signals.h"

namespace resnext {
namespace {

// How a process that runs `work` ends: its exit code, or 128 + the signal that ended it.
template <typename Work>
int end_of(Work work) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(work());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(StopSignal, EachIsRemembered) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP}) {
    EXPECT_EQ(end_of([=] {
                watch_stop_signals();
                if (stop_signalled()) return 1;
                ::raise(signal);
                return stop_signalled() ? 0 : 2;
              }),
              0)
        << signal;
  }
}

TEST(StopSignal, WhatCameBeforeTheHandlersIsNotLost) {
  EXPECT_EQ(end_of([] {
              const sigset_t signals = stop_signal_set();  // as the start of the program does
              ::sigprocmask(SIG_BLOCK, &signals, nullptr);
              ::raise(SIGTERM);
              watch_stop_signals();
              return stop_signalled() ? 0 : 1;
            }),
            0);
}

TEST(StopSignal, HandlersComeBackAfterALibraryTookThem) {
  EXPECT_EQ(end_of([] {
              watch_stop_signals();
              ::signal(SIGUSR1, SIG_DFL);
              watch_stop_signals();
              ::raise(SIGUSR1);
              return stop_signalled() ? 0 : 1;
            }),
            0);
}

TEST(StopSignal, BurstIsOneRequest) {
  EXPECT_EQ(end_of([] {
              watch_stop_signals();
              for (int i = 0; i < 3; ++i) {
                for (const int signal : kStopSignals) ::raise(signal);
              }
              return 0;
            }),
            0);
}

TEST(StopSignal, InterruptASecondAfterAnotherEndsAtOnce) {
  EXPECT_EQ(end_of([] {
              watch_stop_signals();
              ::raise(SIGINT);
              ::sleep(1);
              ::raise(SIGTERM);
              ::raise(SIGINT);
              return 0;
            }),
            128 + SIGINT);
}

TEST(StopSignal, IgnoredHangupStaysIgnored) {
  EXPECT_EQ(end_of([] {
              ::signal(SIGHUP, SIG_IGN);  // nohup(1)
              watch_stop_signals();
              ::raise(SIGHUP);
              return stop_signalled() ? 1 : 0;
            }),
            0);
}

}  // namespace
}  // namespace resnext
