// What hosts tell each other, over real sockets.
// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/wire.h"

#include <gtest/gtest.h>

#include <random>

#include "comm/watch/host_link.h"
#include "tests/support/process.h"

namespace resnext::watch {
namespace {

Report report_of(int leader, int ranks) {
  Report report;
  report.leader = leader;
  for (int r = 0; r < ranks; ++r) {
    RankView view;
    view.rank = leader + r;
    view.host = "node";
    view.phase = Phase::kCollective;
    view.collective = 57;
    view.step = 123;
    view.in_phase_s = 1.5;
    view.limit_s = 3;
    view.stopped = r == 1;
    report.ranks.push_back(view);
    report.standings.push_back(r == 0 ? Standing::kFailed : Standing::kRuns);
  }
  report.first = Cause{leader, 65, "the data are gone", true};
  report.announced = true;
  return report;
}

TEST(Wire, AReportSurvivesTheJourney) {
  const auto got = decode_report(encode(report_of(4, 3)));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->leader, 4);
  EXPECT_TRUE(got->announced);
  ASSERT_EQ(got->ranks.size(), 3u);
  EXPECT_EQ(got->ranks[1].rank, 5);
  EXPECT_EQ(got->ranks[1].host, "node");
  EXPECT_EQ(got->ranks[1].phase, Phase::kCollective);
  EXPECT_EQ(got->ranks[1].collective, 57u);
  EXPECT_EQ(got->ranks[1].step, 123);
  EXPECT_EQ(got->ranks[1].in_phase_s, 1.5);
  EXPECT_TRUE(got->ranks[1].stopped);
  EXPECT_EQ(got->standings[0], Standing::kFailed);
  ASSERT_TRUE(got->first);
  EXPECT_EQ(got->first->text, "the data are gone");
  EXPECT_TRUE(got->first->tells);
}

TEST(Wire, ARulingSurvivesTheJourney) {
  EXPECT_FALSE(decode_ruling(encode(Ruling{}))->cause);
  const auto got = decode_ruling(encode(Ruling{Cause{3, 77, "diverged", true}, true, false, true}));
  ASSERT_TRUE(got && got->cause);
  EXPECT_EQ(got->cause->code, 77);
  EXPECT_TRUE(got->all_failed);
}

TEST(Wire, CutMessagesAreNone) {
  const std::string whole = encode(report_of(4, 3));
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto got = decode_report(whole.substr(0, length));
    EXPECT_TRUE(!got || got->ranks.size() < 3) << length;
  }
}

// ---- the link ---------------------------------------------------------------------------------

TEST(HostLink, ReportsGoUpAndRulingsComeDown) {
  HostLink root, leader, other;
  const Meeting meeting = root.listen();
  ASSERT_NE(meeting.port, 0);
  leader.connect(meeting);
  other.connect(meeting);
  std::vector<HostLink::Heard> heard;
  std::optional<Ruling> down;
  EXPECT_TRUE(test::wait_until(
      [&] {
        leader.report(report_of(2, 2));
        other.report(report_of(4, 300));
        heard = root.hear();
        root.tell({Cause{2, 65, "the data are gone", true}, false, true, true});
        other.ruling();
        const auto ruling = leader.ruling();
        if (ruling && ruling->cause) down = ruling;
        return down && heard.size() == 2;
      },
      30));
  ASSERT_TRUE(down);
  EXPECT_EQ(down->cause->text, "the data are gone");
  EXPECT_TRUE(leader.connected());
  EXPECT_LT(leader.silence_s().value(), 30);
}

TEST(HostLink, SeesAtOnceThatAPeerIsGone) {
  HostLink root;
  {
    HostLink leader;
    leader.connect(root.listen());
    ASSERT_TRUE(test::wait_until(
        [&] {
          leader.ruling();
          leader.report(report_of(2, 2));
          return !root.hear().empty();
        },
        30));
  }
  EXPECT_TRUE(test::wait_until([&] { return !root.hear().front().connected; }, 30));
  EXPECT_EQ(root.hear().front().report.leader, 2);
}

TEST(HostLink, ListensToNobodyWithoutTheSecret) {
  HostLink root, stranger;
  Meeting meeting = root.listen();
  meeting.secret ^= 1;
  stranger.connect(meeting);
  EXPECT_TRUE(test::wait_until(
      [&] {
        stranger.ruling();
        EXPECT_TRUE(root.hear().empty());
        return stranger.sockets().empty();
      },
      30));
  EXPECT_FALSE(stranger.connected());
}

// A peer that never reads does not hold up who writes, however much that is.
TEST(HostLink, NeverWaitsForAPeerThatDoesNotRead) {
  HostLink root, leader;
  leader.connect(root.listen());
  ASSERT_TRUE(test::wait_until(
      [&] {
        root.hear();
        return leader.ruling().has_value();
      },
      30));
  for (int i = 0; i < 2000; ++i) leader.report(report_of(2, 256));
  EXPECT_TRUE(leader.connected());
}

}  // namespace
}  // namespace resnext::watch
