// Shares of a machine never overlap.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/resource_shares.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <set>

#include "comm/common/error.h"
#include "launcher/topology.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

Resources node(int gpus, int cores) {
  Resources all;
  for (int i = 0; i < gpus; ++i) all.gpus.push_back(std::to_string(i));
  for (int i = 0; i < cores; ++i) all.cores.push_back({i, i + cores});  // threads as Linux counts
  all.usable_cores = all.cores.size();
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

// GPUs 0 and 1 are near the second half of the cores.
Resources crossed(int cores) {
  Resources all = node(4, cores);
  std::vector<int> low, high;
  for (int i = 0; i < cores; ++i) (i < cores / 2 ? low : high).push_back(i);
  all.near = {high, high, low, low};
  return all;
}

TEST(ResourceShares, HaveCoresNearTheirGpus) {
  const auto two = share_out(crossed(8), 2);
  EXPECT_EQ(two[0].gpus, (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ(two[0].cores.front().front(), 4);
  EXPECT_EQ(two[1].cores.front().front(), 0);
  const auto four = share_out(crossed(8), 4);
  EXPECT_EQ(four[1].cores, (std::vector<std::vector<int>>{{6, 14}, {7, 15}}));
  EXPECT_EQ(four[2].cores, (std::vector<std::vector<int>>{{0, 8}, {1, 9}}));
  EXPECT_EQ(share_out(crossed(8), 3)[2].cores.size(), 2u) << "as many as the others";
}

TEST(ResourceShares, DivideWhatTheControlGroupLeaves) {
  Resources all = node(0, 64);
  all.usable_cores = 5;
  for (const Resources& share : share_out(all, 2)) EXPECT_EQ(share.cores.size(), 2u);
  EXPECT_THROW(share_out(all, 6), ConfigError);
  Machine machine;
  machine.cores = 4;
  machine.cpus = {{0}, {1}, {2}, {3}};
  machine.cpu_quota = 2.5;
  EXPECT_EQ(resources_of(machine).usable_cores, 2u);
}

TEST(ResourceShares, SeveralTrialsShareAGpuAndDivideItsCores) {
  const auto shares = share_out(node(2, 8), 4, 2);
  ASSERT_EQ(shares.size(), 4u);
  EXPECT_EQ(shares[0].gpus, shares[2].gpus);
  EXPECT_EQ(shares[1].gpus, shares[3].gpus);
  EXPECT_NE(shares[0].gpus, shares[1].gpus);
  std::set<std::vector<int>> cores;
  for (const Resources& share : shares) {
    EXPECT_EQ(share.cores.size(), 2u);
    cores.insert(share.cores.begin(), share.cores.end());
  }
  EXPECT_EQ(cores.size(), 8u);
  const auto odd = share_out(node(2, 8), 3, 2);
  EXPECT_EQ(odd[1].cores.size(), 4u) << "alone on its GPU";
  EXPECT_EQ(odd[0].cores.size(), 2u);
}

TEST(ResourceShares, SeveralTrialsShareACoreWhereThereAreTooFew) {
  const auto shares = share_out(node(0, 2), 4, 2);
  EXPECT_EQ(shares[0].cores, shares[2].cores);
  EXPECT_EQ(shares[0].cores.size(), 1u);
  EXPECT_THROW(share_out(node(0, 2), 5, 2), ConfigError);
}

TEST(GpusByRank, AreNearTheCoresThatMpirunDealsOut) {
  EXPECT_EQ(gpus_by_rank(crossed(8), 4, 2), (std::vector<std::string>{"2", "3", "0", "1"}));
  EXPECT_EQ(gpus_by_rank(crossed(8), 2, 4), (std::vector<std::string>{"2", "0", "1", "3"}))
      << "the second rank's cores are the second half";
  EXPECT_TRUE(gpus_by_rank(node(4, 8), 4, 2).empty()) << "as they are";
}

// Two sockets of two cores of two threads each; a GPU (and no more than that) at the second.
TEST(Topology, KnowsCoresAndWhatIsNearAGpu) {
  const std::string source = std::string(RESNEXT_SOURCE_DIR) + "/tests/launcher/two_sockets.xml";
  const Topology topology(test::read_text(source));
  EXPECT_EQ(topology.cores(), (std::vector<std::vector<int>>{{0, 4}, {1, 5}, {2, 6}, {3, 7}}));
  EXPECT_EQ(topology.near("0000:3b:00.0"), (std::vector<int>{2, 3, 6, 7}));
  EXPECT_TRUE(topology.near("0000:99:00.0").empty());
}

TEST(Topology, OfThisHostIsWithinTheAffinityMask) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  ASSERT_EQ(::sched_getaffinity(0, sizeof mask, &mask), 0);
  int cpus = 0;
  for (const std::vector<int>& core : Topology().cores()) {
    for (const int cpu : core) EXPECT_TRUE(CPU_ISSET(cpu, &mask));
    cpus += static_cast<int>(core.size());
  }
  EXPECT_EQ(cpus, CPU_COUNT(&mask));
}

TEST(GpuDevices, AreThoseThatTheDriverTellsOfAndThatHaveAFile) {
  const test::TemporaryFolder folder;
  namespace fs = std::filesystem;
  const auto gpu = [&](const std::string& address, const std::string& minor) {
    fs::create_directories(folder / ("driver/" + address));
    test::write_text(
        folder / ("driver/" + address + "/information"),
        "Model: \t\t NVIDIA\nGPU UUID:   \t GPU-" + minor + "\nDevice Minor: \t " + minor + "\n");
  };
  gpu("0000:3b:00.0", "1");
  gpu("0000:18:00.0", "0");
  gpu("0000:86:00.0", "2");
  fs::create_directories(folder / "dev");
  for (const char* file : {"dev/nvidia1", "dev/nvidia2", "dev/nvidiactl"}) {
    test::write_text(folder / file, "");
  }
  const auto found = gpu_devices(folder / "driver", folder / "dev");
  ASSERT_EQ(found.size(), 2u) << "a container has two of the three";
  EXPECT_EQ(found[0].pci_address, "0000:3b:00.0");
  EXPECT_EQ(found[0].uuid, "GPU-1");
  EXPECT_EQ(found[1].uuid, "GPU-2");
  EXPECT_TRUE(gpu_devices(folder / "none", folder / "dev").empty());
}

TEST(ResourceShares, FindTheGpuOfAnId) {
  Machine machine;
  machine.gpus = 2;
  machine.gpu_devices = {{"0000:18:00.0", "GPU-aa11", {0}}, {"0000:3b:00.0", "GPU-bb22", {1}}};
  const auto near = [&](const std::string& visible) {
    machine.environment["CUDA_VISIBLE_DEVICES"] = visible;
    return resources_of(machine).near;
  };
  using Near = std::vector<std::vector<int>>;
  EXPECT_EQ(near("1,0"), (Near{{1}, {0}}));
  EXPECT_EQ(near("GPU-bb"), (Near{{1}})) << "CUDA takes the begin of one";
  EXPECT_EQ(near("MIG-GPU-bb22/7/0"), (Near{{1}}));
  EXPECT_EQ(near("MIG-1234"), (Near{{}})) << "new names do not tell";
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
