// Which ends of a run lead to a restart.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/restart_policy.h"

#include <gtest/gtest.h>

#include <csignal>

namespace resnext {
namespace {

Attempt ended(int code, int64_t before = 0, int64_t after = 10) {
  return {code, 0, before, after, 100};
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

TEST(RestartPolicy, GivesUpWithoutProgress) {
  RestartPolicy policy({20, 1, 60});
  EXPECT_TRUE(policy.decide(ended(76, -1, -1)).restart) << "no restart came before";
  EXPECT_FALSE(policy.decide(ended(76, -1, -1)).restart);
  RestartPolicy later({20, 1, 60});
  EXPECT_TRUE(later.decide(ended(137, 0, 10)).restart);
  EXPECT_TRUE(later.decide(ended(137, 10, 20)).restart);
  const Decision stuck = later.decide(ended(137, 20, 20));
  EXPECT_FALSE(stuck.restart);
  EXPECT_NE(stuck.because.find("no step was gained"), std::string::npos);
}

TEST(RestartPolicy, KeepsToAStopRequest) {
  Attempt attempt = ended(75);
  attempt.stop_signal = SIGTERM;
  const Decision decision = RestartPolicy({5, 1, 60}).decide(attempt);
  EXPECT_FALSE(decision.restart);
  EXPECT_EQ(decision.exit_code, 75);
}

TEST(RestartPolicy, BacksOffWhileRunsEndEarly) {
  RestartPolicy policy({20, 1, 6});
  const auto delay = [&](double seconds, int64_t step) {
    return policy.decide({76, 0, step, step + 1, seconds}).delay_s;
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
  }
  for (const int code : {0, 64, 65, 70, 73, 77}) {
    EXPECT_FALSE(requeue_helps(ended(code), 0)) << code;
  }
}

TEST(Requeue, HelpsAnEarlyStopOnce) {
  EXPECT_TRUE(requeue_helps(ended(75, -1, -1), 0)) << "preempted before its first checkpoint";
  EXPECT_FALSE(requeue_helps(ended(75, -1, -1), 1));
  EXPECT_FALSE(requeue_helps(ended(76, -1, -1), 0));
}

TEST(RestartPolicy, MayTryOnlyFailedStartsAgain) {
  RestartPolicy policy({1, 10, 10, true});
  EXPECT_FALSE(policy.decide(ended(76, 0, 10)).restart) << "it gained a checkpoint";
  EXPECT_TRUE(policy.decide(ended(1, 10, 10)).restart);
  EXPECT_FALSE(policy.decide(ended(1, 10, 10)).restart);
}

TEST(Requeue, FollowsPreemptionButNotCancelling) {
  Attempt attempt = ended(75);
  attempt.stop_signal = SIGUSR1;
  EXPECT_TRUE(requeue_helps(attempt, 1));
  attempt.stop_signal = SIGTERM;
  EXPECT_FALSE(requeue_helps(attempt, 1));
}

}  // namespace
}  // namespace resnext
