// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/verdict.h"

#include <gtest/gtest.h>

#include <utility>

namespace resnext::watch {
namespace {

constexpr double kLimit = 10;

RankView working(int rank, Phase phase, double in_phase_s) {
  RankView view;
  view.rank = rank;
  view.host = "node" + std::to_string(rank / 2);
  view.phase = phase;
  view.in_phase_s = in_phase_s;
  view.limit_s = kLimit;
  return view;
}

RankView waiting(int rank, uint64_t collective, double in_phase_s) {
  RankView view = working(rank, Phase::kCollective, in_phase_s);
  view.collective = collective;
  return view;
}

using Ranks = std::vector<int>;

TEST(Verdict, NobodyIsLostWithinTheLimit) {
  for (const double time : {0.0, 0.8 * kLimit, kLimit}) {
    const RankView ranks[] = {waiting(0, 7, time), working(1, Phase::kData, time)};
    EXPECT_FALSE(judge(ranks)) << time;
  }
}

// Two slow phases one after the other: the others wait longer than the limit, for a rank that
// works.
TEST(Verdict, WhoWaitsForASlowRankIsNotLostHoweverLongItWaits) {
  const RankView ranks[] = {waiting(0, 7, 1.6 * kLimit), waiting(1, 7, 1.6 * kLimit),
                            working(2, Phase::kForward, 0.8 * kLimit)};
  EXPECT_FALSE(judge(ranks));
}

TEST(Verdict, NamesWhoIsStuckWithItsHostPhaseSecondsAndStep) {
  RankView stuck = working(3, Phase::kData, 10.5);
  stuck.step = 123;
  const RankView ranks[] = {waiting(0, 7, 10.4), waiting(1, 7, 10.4), waiting(2, 7, 10.4), stuck};
  const auto verdict = judge(ranks);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->culprits, Ranks{3});
  EXPECT_EQ(verdict->text, "rank 3 on node1 is stuck in phase data for 10.5 s, step 123");
}

TEST(Verdict, EachPhaseInWhichARankWorksHasTheLimit) {
  for (int p = 0; p <= static_cast<int>(Phase::kEnd); ++p) {
    const auto phase = static_cast<Phase>(p);
    const RankView ranks[] = {waiting(0, 7, 1), working(1, phase, kLimit + 0.1)};
    EXPECT_EQ(judge(ranks).has_value(), !waits_for_others(phase)) << name(phase);
  }
}

TEST(Verdict, WhoIsStoppedWhileItWaitsIsTheCulprit) {
  RankView stopped = waiting(1, 7, kLimit + 0.1);
  stopped.stopped = true;
  const RankView ranks[] = {waiting(0, 7, kLimit + 0.1), stopped, waiting(2, 8, 3)};
  const auto verdict = judge(ranks);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->culprits, Ranks{1});
  EXPECT_EQ(verdict->text, "rank 1 on node0 is stopped in collective 7 for 10.1 s");
}

// A process that is stopped for a moment, by a debugger say, goes on.
TEST(Verdict, AStoppedRankHasTheLimitToo) {
  RankView stopped = working(1, Phase::kForward, kLimit - 1);
  stopped.stopped = true;
  const RankView ranks[] = {waiting(0, 7, 1), stopped};
  EXPECT_FALSE(judge(ranks));
}

TEST(Verdict, ADeadRankIsNamedAtOnceAndBeforeAllOthers) {
  RankView dead = working(2, Phase::kBackward, 0.1);
  dead.dead = true;
  dead.step = 5;
  const RankView ranks[] = {waiting(0, 7, 0), working(1, Phase::kData, kLimit + 1), dead};
  const auto verdict = judge(ranks);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->culprits, Ranks{2});
  EXPECT_EQ(verdict->text, "rank 2 on node1 died in phase backward, step 5");
}

TEST(Verdict, WhoHasEndedIsNeitherDeadNorLate) {
  RankView ended = working(1, Phase::kEnd, kLimit * 5);
  ended.ended = true;
  ended.dead = true;
  const RankView ranks[] = {working(0, Phase::kLog, 1), ended};
  EXPECT_FALSE(judge(ranks));
}

TEST(Verdict, SaysWhenAllWaitInTheSameCollective) {
  const double late = kLimit + kWaitersGrace + 0.1;
  const RankView ranks[] = {waiting(0, 7, late), waiting(1, 7, late + 1), waiting(2, 7, late)};
  const auto verdict = judge(ranks);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->culprits, Ranks{});
  EXPECT_EQ(verdict->text, "ranks 0, 1, 2 wait in collective 7 for 12.1 s");
}

TEST(Verdict, SaysWhoWaitsWhereWhenTheyDoNotAgree) {
  const double late = kLimit + kWaitersGrace + 0.1;
  const RankView ranks[] = {waiting(0, 7, late), working(1, Phase::kEnd, late),
                            waiting(2, 7, late)};
  const auto verdict = judge(ranks);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->text,
            "all wait for each other, the longest for 11.1 s: ranks 0, 2 in collective 7, rank 1 "
            "in phase end");
}

TEST(Verdict, WaitersGiveACulpritTimeToBeNamed) {
  const RankView ranks[] = {waiting(0, 7, kLimit + 0.9 * kWaitersGrace),
                            waiting(1, 7, kLimit + 0.9 * kWaitersGrace)};
  EXPECT_FALSE(judge(ranks));
}

TEST(Verdict, OneThatHasJustComeIsWaitedFor) {
  const RankView ranks[] = {waiting(0, 7, kLimit * 2), waiting(1, 7, 0.1)};
  EXPECT_FALSE(judge(ranks));
}

TEST(Verdict, NamesLocalRanksThatNeverCame) {
  const RankView ranks[] = {working(0, Phase::kInit, kLimit + 2), working(2, Phase::kInit, 12)};
  Unseen unseen;
  unseen.not_started = {1};
  unseen.host = "node0";
  const auto verdict = judge(ranks, unseen);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->text, "local rank 1 on node0 has not started within 12.0 s");
}

TEST(Verdict, WhereNotAllCanBeSeenTheWaitersWaitLonger) {
  Unseen others;
  others.others = true;
  others.grace_s = 2 * kWaitersGrace;
  const double late = kLimit + 1.5 * kWaitersGrace;
  const RankView early[] = {waiting(0, 7, late)};
  EXPECT_FALSE(judge(early, others));
  const RankView ranks[] = {waiting(0, 7, kLimit + 2.1 * kWaitersGrace)};
  const auto verdict = judge(ranks, others);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->text, "rank 0 waits in collective 7 for 12.1 s for ranks of other hosts");
}

TEST(Verdict, NamesRanksOfOtherHostsThatWereNeverHeard) {
  Unseen unseen;
  unseen.others = true;
  unseen.silent = {"rank 1 on node1"};
  const RankView ranks[] = {waiting(0, 7, kLimit + 2), waiting(2, 7, kLimit + 2)};
  const auto verdict = judge(ranks, unseen);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->text, "rank 1 on node1 is silent; ranks 0, 2 wait in collective 7 for 12.0 s");
  const RankView busy[] = {waiting(0, 7, kLimit + 2), working(2, Phase::kData, 1)};
  EXPECT_FALSE(judge(busy, unseen));
}

// On a GPU the host goes on and the device waits.
TEST(Verdict, ADeviceThatWaitsMakesItsRankAVictim) {
  RankView victim = working(0, Phase::kLog, kLimit + 0.5);
  victim.device_collective = 57;
  victim.device_wait_s = kLimit + 0.5;
  RankView culprit = working(1, Phase::kData, kLimit + 0.4);
  const RankView ranks[] = {victim, culprit};
  const auto verdict = judge(ranks);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->culprits, Ranks{1});
}

TEST(Verdict, AllDevicesWaitingForEachOtherIsNoticed) {
  RankView views[2] = {working(0, Phase::kForward, 0.1), working(1, Phase::kLog, kLimit * 2)};
  for (RankView& view : views) {
    view.device_collective = 57;
    view.device_wait_s = kLimit + kWaitersGrace + 0.1;
  }
  const auto verdict = judge(views);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->text, "ranks 0, 1 wait in collective 57 for 11.1 s");
}

TEST(Verdict, DescribesFourAndCountsTheRest) {
  std::vector<RankView> ranks;
  for (int rank = 0; rank < 7; ++rank) ranks.push_back(working(rank, Phase::kSave, kLimit + 1));
  const auto verdict = judge(ranks);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->culprits, (Ranks{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_NE(verdict->text.find("rank 3 on node1 is stuck"), std::string::npos) << verdict->text;
  EXPECT_EQ(verdict->text.find("rank 4 on"), std::string::npos) << verdict->text;
  EXPECT_NE(verdict->text.find(" and 3 more"), std::string::npos) << verdict->text;
}

// A virtual clock over every moment at which one of three ranks may stop: it alone is ever named,
// within the limit and a step's length.
TEST(Verdict, AVirtualClockOverEveryMomentOfAStop) {
  for (int culprit = 0; culprit < 3; ++culprit) {
    for (double stop = 0; stop < 4; stop += 0.25) {  // a step: 3 s of work, 1 s in the collective
      for (double now = stop; now < stop + kLimit + 5; now += 0.25) {
        std::vector<RankView> ranks;
        const bool in_collective = stop >= 3;
        for (int rank = 0; rank < 3; ++rank) {
          const double began = rank == culprit && !in_collective ? 0 : 3;
          const bool works = now < 3 || (rank == culprit && !in_collective);
          ranks.push_back(works ? working(rank, Phase::kForward, now - 0)
                                : waiting(rank, 7, now - std::max(began, 3.0)));
          ranks.back().stopped = rank == culprit && now > stop;
        }
        const auto verdict = judge(ranks);
        if (!verdict) continue;
        EXPECT_EQ(verdict->culprits, Ranks{culprit}) << stop << " " << now;
        EXPECT_LE(now, std::max(stop, 3.0) + kLimit + 0.5) << stop;
        break;
      }
    }
  }
}

}  // namespace
}  // namespace resnext::watch
