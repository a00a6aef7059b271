// SPDX-License-Identifier: BSD-3-Clause
#include "worker/device/cores.h"

#include <gtest/gtest.h>

#include <vector>

namespace resnext {
namespace {

// Cores first to last of a host.
RankCores cores(uint64_t host, int first, int last) {
  RankCores rank;
  rank.host = host;
  CPU_ZERO(&rank.cores);
  for (int core = first; core <= last; ++core) CPU_SET(core, &rank.cores);
  return rank;
}

std::vector<int> threads(const std::vector<RankCores>& all) {
  std::vector<int> threads;
  for (const RankCores& mine : all) threads.push_back(threads_for(mine, all));
  return threads;
}

// mpirun --bind-to none: all may use all.
TEST(Cores, ThatAreSharedAreDivided) {
  EXPECT_EQ(threads({cores(1, 0, 7), cores(1, 0, 7)}), (std::vector{4, 4}));
  EXPECT_EQ(threads({cores(1, 0, 1), cores(1, 0, 1), cores(1, 0, 1)}), (std::vector{1, 1, 1}));
}

// srun -n2 -c8: each has its own.
TEST(Cores, OfARankAloneAreItsOwn) {
  EXPECT_EQ(threads({cores(1, 0, 7), cores(1, 8, 15)}), (std::vector{8, 8}));
  EXPECT_EQ(threads({cores(1, 0, 7), cores(2, 0, 7)}), (std::vector{8, 8}));  // two hosts
}

TEST(Cores, AreDividedAmongThoseThatMeet) {
  EXPECT_EQ(threads({cores(1, 0, 3), cores(1, 0, 3), cores(1, 4, 7)}), (std::vector{2, 2, 4}));
}

}  // namespace
}  // namespace resnext
