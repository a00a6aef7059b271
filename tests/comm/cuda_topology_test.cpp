// SPDX-License-Identifier: BSD-3-Clause
#include "comm/cuda_topology.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "comm/common/error.h"

namespace resnext {
namespace {

// `count` ranks of host `host`, each of which sees `visible` GPUs.
std::vector<RankDevice> host_of(int host, int count, int visible) {
  std::vector<RankDevice> ranks(count);
  for (int i = 0; i < count; ++i) {
    ranks[i].host = host;
    ranks[i].local_rank = i;
    ranks[i].local_size = count;
    ranks[i].visible = visible;
    const std::string bus = "0000:" + std::to_string(10 + device_of(i, visible, true).value_or(0));
    std::strcpy(ranks[i].bus_id, bus.c_str());
  }
  return ranks;
}

std::string error_of(const std::vector<RankDevice>& ranks, bool share = false) {
  try {
    check_devices(ranks, share);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(CudaTopology, TheLocalRankIsTheDevice) {
  EXPECT_EQ(device_of(0, 4, false), 0);
  EXPECT_EQ(device_of(3, 4, false), 3);
  EXPECT_EQ(device_of(4, 4, false), std::nullopt);
  EXPECT_EQ(device_of(0, 0, false), std::nullopt);
}

TEST(CudaTopology, ARankThatSeesOneDeviceTakesIt) {
  EXPECT_EQ(device_of(5, 1, false), 0);
}

TEST(CudaTopology, SharedDevicesAreDealtOutInTurn) {
  EXPECT_EQ(device_of(5, 4, true), 1);
  EXPECT_EQ(device_of(5, 1, true), 0);
}

// Of several slices CUDA would show each process the first.
TEST(CudaTopology, EachRankSeesItsOwnMigSlice) {
  const std::string visible = "MIG-a,MIG-b,MIG-GPU-c/7/0";
  EXPECT_EQ(own_slice(visible, 0), "MIG-a");
  EXPECT_EQ(own_slice(visible, 2), "MIG-GPU-c/7/0");
  EXPECT_EQ(own_slice(visible, 3), std::nullopt)
      << "left as it is, so that CUDA says what is wrong";
  EXPECT_EQ(own_slice("0,1", 1), std::nullopt);
  EXPECT_EQ(own_slice("GPU-a,GPU-b", 1), std::nullopt);
  EXPECT_EQ(own_slice("", 0), std::nullopt);
}

TEST(CudaTopology, TheSameBusOnTwoHostsIsNoDuplicate) {
  std::vector<RankDevice> ranks = host_of(0, 4, 4);
  for (const RankDevice& it : host_of(4, 4, 4)) ranks.push_back(it);
  EXPECT_EQ(error_of(ranks), "");
}

TEST(CudaTopology, NamesTheRanksThatShareADevice) {
  std::vector<RankDevice> ranks = host_of(0, 3, 1);
  std::strcpy(ranks[1].bus_id, "0000:99");
  EXPECT_TRUE(contains(error_of(ranks), "ranks 0 and 2 are on the same GPU (0000:10)"));
  EXPECT_EQ(error_of(ranks, true), "");
}

TEST(CudaTopology, SaysWhenThereAreMoreRanksThanDevices) {
  EXPECT_TRUE(contains(error_of(host_of(0, 5, 4)), "rank 4 runs 5 ranks but has 4 GPUs"));
  EXPECT_EQ(error_of(host_of(0, 5, 4), true), "");
}

TEST(CudaTopology, SaysWhyARankSeesNoDevice) {
  std::vector<RankDevice> ranks = host_of(0, 2, 2);
  ranks[1].visible = 0;
  std::strcpy(ranks[1].problem, "no driver");
  EXPECT_TRUE(contains(error_of(ranks), "rank 1 sees none (no driver)"));
  EXPECT_TRUE(contains(error_of(ranks, true), "rank 1 sees none (no driver)"));
}

}  // namespace
}  // namespace resnext
