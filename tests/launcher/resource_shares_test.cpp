// Shares of a machine never overlap.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/resource_shares.h"

#include <gtest/gtest.h>

#include <set>

#include "comm/common/error.h"

namespace resnext {
namespace {

Resources node(int gpus, int cores) {
  Resources all;
  for (int i = 0; i < gpus; ++i) all.gpus.push_back(std::to_string(i));
  for (int i = 0; i < cores; ++i) all.cores.push_back({i, i + cores});  // threads as Linux counts
  return all;
}

TEST(ResourceShares, AreDisjointAndEqual) {
  for (int count = 1; count <= 8; ++count) {
    std::set<std::string> gpus;
    std::set<std::vector<int>> cores;
    size_t given = 0;
    for (const Resources& share : share_out(node(8, 96), count)) {
      EXPECT_EQ(share.gpus.size(), static_cast<size_t>(8 / count));
      EXPECT_EQ(share.cores.size(), static_cast<size_t>(96 / count));
      gpus.insert(share.gpus.begin(), share.gpus.end());
      cores.insert(share.cores.begin(), share.cores.end());
      given += share.gpus.size() + share.cores.size();
    }
    EXPECT_EQ(gpus.size() + cores.size(), given) << count;
  }
}

TEST(ResourceShares, AreOfWholeCores) {
  const auto shares = share_out(node(0, 4), 2);
  EXPECT_EQ(shares[0].cores, (std::vector<std::vector<int>>{{0, 4}, {1, 5}}));
  EXPECT_EQ(shares[1].cores, (std::vector<std::vector<int>>{{2, 6}, {3, 7}}));
}

TEST(ResourceShares, RefusesMoreThanThereAre) {
  EXPECT_THROW(share_out(node(4, 96), 5), ConfigError);
  EXPECT_THROW(share_out(node(0, 2), 3), ConfigError);
  EXPECT_NO_THROW(share_out(node(0, 2), 2));
}

TEST(ResourceShares, KeepsToTheVisibleDevices) {
  Machine machine;
  machine.gpus = 8;
  machine.environment["CUDA_VISIBLE_DEVICES"] = "2,5";
  EXPECT_EQ(resources_of(machine).gpus, (std::vector<std::string>{"2", "5"}));
  machine.environment.clear();
  EXPECT_EQ(resources_of(machine).gpus.size(), 8u);
  EXPECT_FALSE(resources_of(inspect_machine()).cores.empty());
}

}  // namespace
}  // namespace resnext
