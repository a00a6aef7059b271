// Whose weights differ, and who is slow.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/replicas.h"

#include <gtest/gtest.h>

#include <random>

namespace resnext {
namespace {

std::vector<int> damaged(const std::vector<uint64_t>& checksums) {
  std::vector<ReplicaReport> reports;
  for (const uint64_t checksum : checksums) reports.push_back({.checksum = checksum});
  return damaged_replicas(reports);
}

using Ranks = std::vector<int>;

TEST(DamagedReplicas, AreThoseThatDifferFromTheMajority) {
  EXPECT_EQ(damaged({5}), Ranks{});
  EXPECT_EQ(damaged({5, 5}), Ranks{});
  EXPECT_EQ(damaged({5, 6}), (Ranks{0, 1}));  // nobody can say which
  EXPECT_EQ(damaged({6, 5, 5}), Ranks{0});
  EXPECT_EQ(damaged({5, 5, 6}), Ranks{2});
  EXPECT_EQ(damaged({5, 6, 7}), (Ranks{0, 1, 2}));
  EXPECT_EQ(damaged({5, 5, 6, 6}), (Ranks{0, 1, 2, 3}));  // half is no majority
  EXPECT_EQ(damaged({5, 5, 5, 6, 7}), (Ranks{3, 4}));
}

TEST(DamagedReplicas, OneOfThreeOrMoreIsNamedWhereverItIs) {
  std::mt19937_64 random(1);
  for (int draw = 0; draw < 500; ++draw) {
    const size_t ranks = 3 + random() % 30, bad = random() % ranks;
    std::vector<uint64_t> checksums(ranks, random());
    checksums[bad] ^= uint64_t{1} << random() % 64;
    EXPECT_EQ(damaged(checksums), Ranks{static_cast<int>(bad)});
  }
}

std::vector<ReplicaReport> times(const std::vector<double>& ready_ms) {
  std::vector<ReplicaReport> reports;
  for (const double ms : ready_ms) reports.push_back({0, 0, ms, 10});
  return reports;
}

TEST(SlowRank, IsNamedWithWhatItCosts) {
  auto reports = times({300, 310, 520, 305});
  reports[2].data_wait_ms = 150;
  EXPECT_EQ(
      slow_rank(reports, 560),
      "rank 2 is slow: its gradients are ready 215 ms after the others' (140 ms of it waiting "
      "for images), which costs every step 215 ms");
}

TEST(SlowRank, IsNobodyWhereItHardlyMatters) {
  EXPECT_EQ(slow_rank(times({300}), 350), "");                 // alone
  EXPECT_EQ(slow_rank(times({300, 310, 330}), 350), "");       // 6 % of a step
  EXPECT_EQ(slow_rank(times({1, 2, 15}), 20), "");             // milliseconds
  EXPECT_EQ(slow_rank(times({300, 300, 360}), 350), "");       // just below a fifth
  EXPECT_NE(slow_rank(times({300, 300, 371}), 350), "");       // just above
  EXPECT_EQ(slow_rank(times({500, 500, 500, 100}), 520), "");  // one that is fast holds up nobody
}

}  // namespace
}  // namespace resnext
