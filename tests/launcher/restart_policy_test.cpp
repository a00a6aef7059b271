// Which ends of a run lead to a restart.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/restart_policy.h"

#include <gtest/gtest.h>

#include <csignal>

namespace resnext {
namespace {

Attempt ended(int code, int64_t before = 0, int64_t after = 10) {
  return {.exit_code = code, .serial_before = before, .serial_after = after, .seconds = 100};
}

Attempt stopped(int code, int signal = SIGTERM) {
  Attempt attempt = ended(code, 10, 10);
  attempt.stop_signal = signal;
  return attempt;
}

TEST(RestartPolicy, RestartsWhereThatHelps) {
  for (const int code : {75, 76, 1, 128 + 9, 128 + 11, 128 + 6, 205}) {
    EXPECT_TRUE(RestartPolicy({3, 1, 60}).decide(ended(code)).restart) << code;
  }
  for (const int code : {0, 64, 65, 70, 73, 77, 127, 128 + 2, 255}) {
    EXPECT_FALSE(RestartPolicy({3, 1, 60}).decide(ended(code)).restart) << code;
  }
}

TEST(RestartPolicy, TranslatesStartersCodes) {
  for (const int code : {0, 64, 65, 70, 73, 75, 76, 77}) EXPECT_EQ(to_exit_code(code), code);
  for (const int code : {1, 137, 139, 134, 143, 138, 205})
    EXPECT_EQ(to_exit_code(code), 76) << code;
  for (const int code : {2, 127, 130, 213, 255}) EXPECT_EQ(to_exit_code(code), 70) << code;
}

TEST(RestartPolicy, CountsRestarts) {
  RestartPolicy policy({2, 1, 60});
  EXPECT_TRUE(policy.decide(ended(76, 0, 10)).restart);
  EXPECT_TRUE(policy.decide(ended(76, 10, 20)).restart);
  const Decision last = policy.decide(ended(76, 20, 30));
  EXPECT_FALSE(last.restart);
  EXPECT_EQ(last.exit_code, 76);
  EXPECT_EQ(policy.restarts(), 2);
}

TEST(RestartPolicy, GivesUpAfterFiveStartsInARowWithoutProgress) {
  RestartPolicy policy({1000, 1, 60});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(policy.decide(ended(76, -1, -1)).restart) << i;
  EXPECT_TRUE(policy.decide(ended(137, -1, 0)).restart) << "a checkpoint begins a new count";
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(policy.decide(ended(137, 20, 20)).restart) << i;
  const Decision stuck = policy.decide(ended(137, 20, 20));
  EXPECT_FALSE(stuck.restart);
  EXPECT_NE(stuck.because.find("5 starts in a row gained no checkpoint"), std::string::npos)
      << stuck.because;
}

TEST(RestartPolicy, SaysAtWhichStep) {
  Attempt attempt = ended(76);
  EXPECT_NE(RestartPolicy({1, 1, 60}).decide(attempt).because.find("before the first checkpoint"),
            std::string::npos);
  attempt.step = 1200;
  EXPECT_NE(RestartPolicy({1, 1, 60}).decide(attempt).because.find("at step 1200"),
            std::string::npos);
}

TEST(RestartPolicy, SaysInWordsHowARunEnded) {
  Attempt attempt = ended(137);
  attempt.step = 40;
  EXPECT_EQ(
      RestartPolicy({3, 1, 60}).decide(attempt).because,
      "a rank was lost at step 40 (exit code 76, from 137 of mpirun or srun): restart 1 of 3");
  attempt.exit_code = 65;
  EXPECT_EQ(RestartPolicy({3, 1, 60}).decide(attempt).because,
            "the data cannot be used at step 40 (exit code 65): a restart does not help");
}

TEST(RestartPolicy, KeepsToAStopRequest) {
  const Decision decision = RestartPolicy({5, 1, 60}).decide(stopped(75));
  EXPECT_FALSE(decision.restart);
  EXPECT_EQ(decision.exit_code, 75);
}

TEST(RestartPolicy, WhatAStopRequestHasBrokenCountsAsStopped) {
  for (const int code :
       {1, 76, 128 + SIGUSR1, 128 + SIGTERM, 128 + SIGINT, 128 + SIGKILL, 205, 213}) {
    EXPECT_EQ(to_exit_code(stopped(code)), 75) << code;
  }
  for (const int code : {0, 64, 65, 70, 73, 75, 77}) EXPECT_EQ(to_exit_code(stopped(code)), code);
  Attempt cut_short = stopped(128 + SIGINT);
  cut_short.cut_short = true;
  EXPECT_EQ(to_exit_code(cut_short), 130);
  cut_short.exit_code = 0;
  EXPECT_EQ(to_exit_code(cut_short), 0) << "it had finished";
}

TEST(RestartPolicy, BacksOffWhileRunsEndEarly) {
  RestartPolicy policy({20, 1, 6});
  const auto delay = [&](double seconds, int64_t step) {
    Attempt attempt = ended(76, step, step + 1);
    attempt.seconds = seconds;
    return policy.decide(attempt).delay_s;
  };
  EXPECT_EQ(delay(1, 0), 1);
  EXPECT_EQ(delay(1, 1), 2);
  EXPECT_EQ(delay(1, 2), 4);
  EXPECT_EQ(delay(1, 3), 6) << "the longest";
  EXPECT_EQ(delay(100, 4), 0) << "a long run starts again at once";
  EXPECT_EQ(delay(1, 5), 1);
}

TEST(Requeue, HelpsWhileEachStartGainsACheckpoint) {
  for (const int code : {75, 76, 137, 205}) {
    EXPECT_TRUE(requeue_helps(ended(code, 10, 20), 7)) << code;
    EXPECT_FALSE(requeue_helps(ended(code, 10, 10), 7)) << code;
    EXPECT_TRUE(requeue_helps(ended(code, 10, 10), 4)) << code << ": several tries";
  }
  for (const int code : {0, 64, 65, 70, 73, 77}) {
    EXPECT_FALSE(requeue_helps(ended(code), 0)) << code;
  }
}

TEST(RestartPolicy, MayTryOnlyFailedStartsAgain) {
  RestartPolicy policy({1, 10, 10, true});
  EXPECT_FALSE(policy.decide(ended(76, 0, 10)).restart) << "it gained a checkpoint";
  EXPECT_TRUE(policy.decide(ended(1, 10, 10)).restart);
  EXPECT_FALSE(policy.decide(ended(1, 10, 10)).restart);
}

TEST(Requeue, FollowsEveryStopRequest) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP}) {
    for (const int code : {75, 76, 138}) EXPECT_TRUE(requeue_helps(stopped(code, signal), 100));
    for (const int code : {0, 64, 65, 73, 77}) {
      EXPECT_FALSE(requeue_helps(stopped(code, signal), 0)) << code;
    }
  }
  Attempt cut_short = stopped(75);
  cut_short.cut_short = true;
  EXPECT_FALSE(requeue_helps(cut_short, 0));
}

}  // namespace
}  // namespace resnext
