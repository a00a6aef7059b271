// Where a run may go: this machine, a host list, a Slurm job.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/allocation.h"

#include <gtest/gtest.h>

#include "comm/common/error.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

Machine eight_gpus() {
  Machine machine;
  machine.cores = 96;
  machine.gpus = 8;
  machine.interfaces = {"docker0", "eth0", "ib0"};
  return machine;
}

TEST(Allocation, IsThisMachineWithoutListAndJob) {
  const Allocation a = find_allocation(eight_gpus(), "");
  EXPECT_EQ(a.scheduler, Scheduler::kLocal);
  EXPECT_EQ(a.nodes, 1);
  EXPECT_EQ(a.gpus_per_node, 8);
  EXPECT_EQ(a.cores_per_node, 96);
  EXPECT_TRUE(a.may_bind);
  EXPECT_EQ(a.virtual_interfaces, std::vector<std::string>{"docker0"});
}

TEST(Allocation, SeesOnlyTheDevicesThatCudaSees) {
  Machine machine = eight_gpus();
  const auto gpus = [&](const std::string& visible) {
    machine.environment["CUDA_VISIBLE_DEVICES"] = visible;
    return find_allocation(machine, "").gpus_per_node;
  };
  EXPECT_EQ(gpus("3"), 1);
  EXPECT_EQ(gpus("0,1,5"), 3);
  EXPECT_EQ(gpus("GPU-1234,GPU-5678"), 2);
  EXPECT_EQ(gpus(""), 0);
  EXPECT_EQ(gpus("-1"), 0);
  EXPECT_EQ(gpus("1,-1,2"), 1) << "CUDA ignores what follows a bad id";
}

TEST(Allocation, TakesTheControlGroupsLimitForCores) {
  Machine machine;
  machine.cores = 64;
  machine.cpu_quota = 4.5;
  const Allocation a = find_allocation(machine, "");
  EXPECT_EQ(a.cores_per_node, 4);
  EXPECT_FALSE(a.may_bind) << "64 cores can be seen, 4.5 may be used";
  machine.cpu_quota = 0.5;
  EXPECT_EQ(find_allocation(machine, "").cores_per_node, 1);
  machine.cpu_quota = 100;
  EXPECT_EQ(find_allocation(machine, "").cores_per_node, 64);
}

TEST(Allocation, ReadsHostLists) {
  const Allocation a = find_allocation(eight_gpus(), "a:8,b:8");
  EXPECT_EQ(a.scheduler, Scheduler::kHosts);
  ASSERT_EQ(a.hosts.size(), 2u);
  EXPECT_EQ(a.hosts[1].name, "b");
  EXPECT_EQ(a.tasks_per_node, 8);
  EXPECT_EQ(find_allocation(eight_gpus(), "a,b,c").nodes, 3);
  for (const char* bad : {"a:0", "a:x", ":8", "a:-1", "a:8,,b:8"}) {
    EXPECT_THROW(find_allocation(eight_gpus(), bad), ConfigError) << bad;
  }
}

TEST(Allocation, ReadsSlurmsJob) {
  Machine machine = eight_gpus();
  machine.gpus = 0;  // the batch host need not have any
  machine.environment = {{"SLURM_JOB_ID", "7"},          {"SLURM_JOB_NUM_NODES", "4"},
                         {"SLURM_NTASKS_PER_NODE", "8"}, {"SLURM_GPUS_ON_NODE", "8"},
                         {"SLURM_CPUS_PER_TASK", "12"},  {"SLURM_JOB_CPUS_PER_NODE", "96(x4)"}};
  const Allocation a = find_allocation(machine, "");
  EXPECT_EQ(a.scheduler, Scheduler::kSlurm);
  EXPECT_EQ(a.nodes, 4);
  EXPECT_EQ(a.tasks_per_node, 8);
  EXPECT_EQ(a.gpus_per_node, 8);
  EXPECT_EQ(a.cores_per_node, 96);
  EXPECT_EQ(a.cores_per_task, 12);
}

TEST(Allocation, AsksForEqualNodesUnderSlurm) {
  Machine machine = eight_gpus();
  machine.environment = {{"SLURM_JOB_ID", "7"},
                         {"SLURM_JOB_NUM_NODES", "2"},
                         {"SLURM_NTASKS", "4"},
                         {"SLURM_TASKS_PER_NODE", "3,1"}};
  EXPECT_THROW(find_allocation(machine, ""), ConfigError);
  machine.environment["SLURM_TASKS_PER_NODE"] = "2(x2)";
  EXPECT_EQ(find_allocation(machine, "").tasks_per_node, 2);
}

TEST(Allocation, ReadsGpuCountsWithTypes) {
  Machine machine;
  machine.environment = {{"SLURM_JOB_ID", "7"}, {"SLURM_GPUS_PER_NODE", "h100:4"}};
  EXPECT_EQ(find_allocation(machine, "").gpus_per_node, 4);
}

TEST(Allocation, ExpandsCounts) {
  EXPECT_EQ(expand_counts("2(x3),1"), (std::vector<int>{2, 2, 2, 1}));
  EXPECT_EQ(expand_counts("64"), std::vector<int>{64});
  EXPECT_TRUE(expand_counts("").empty());
  EXPECT_THROW(expand_counts("2(y3)"), ConfigError);
}

TEST(Allocation, LooksAtThisHost) {
  const Machine machine = inspect_machine();
  EXPECT_GE(machine.cores, 1);
  EXPECT_GE(machine.cpu_quota, 0);
  EXPECT_TRUE(machine.environment.contains("PATH"));
}

TEST(VisibleGpus, AreTheIdsThatCudaWouldTake) {
  Machine machine;
  machine.gpus = 2;
  const auto ids = [&](const std::string& visible) {
    machine.environment["CUDA_VISIBLE_DEVICES"] = visible;
    return visible_gpus(machine);
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids("MIG-a,MIG-b,MIG-c"), (Ids{"MIG-a", "MIG-b", "MIG-c"})) << "slices of two GPUs";
  EXPECT_EQ(ids("1,7,0"), (Ids{"1"})) << "CUDA stops at an id that it does not know";
  EXPECT_EQ(ids("-1"), Ids{});
  EXPECT_EQ(ids("NoDevFiles"), Ids{});
  EXPECT_THROW(ids("0,0"), ConfigError);
  EXPECT_THROW(ids("GPU-x,GPU-x"), ConfigError);
}

TEST(Hosts, AreCheckedEach) {
  const Machine machine;
  for (const char* bad : {"a:2,a:2", "::1", "[::1]:2", "a b:2", "-x", "a:2,b", "a:2,,b:2", "a/b"}) {
    EXPECT_THROW(find_allocation(machine, bad), ConfigError) << bad;
  }
  const Allocation a = find_allocation(machine, "a:4,b:2,10.0.0.3:4");
  EXPECT_EQ(a.tasks_per_node, 4);
  EXPECT_EQ(a.hosts[1].slots, 2) << "hosts may differ";
}

TEST(Hosts, AreReadFromAFile) {
  const test::TemporaryFolder folder;
  const auto read = [&](const std::string& text) {
    test::write_text(folder / "hosts", text);
    return read_hostfile(folder / "hosts");
  };
  EXPECT_EQ(read("# ours\na slots=4\n\nb:2  # old\n"), "a:4,b:2");
  EXPECT_EQ(read("a\nb\n"), "a,b");
  EXPECT_THROW(read("a 4\n"), ConfigError);
  EXPECT_THROW(read("a slots=4 max_slots=8\n"), ConfigError);
  EXPECT_THROW(read("# nobody\n"), ConfigError);
  EXPECT_THROW(read_hostfile(folder / "none"), ConfigError);
}

TEST(SlurmAllocation, MixedNodesGiveWhatTheSmallestHas) {
  Machine machine;
  machine.environment = {
      {"SLURM_JOB_ID", "7"}, {"SLURM_JOB_NUM_NODES", "2"}, {"SLURM_JOB_CPUS_PER_NODE", "128,96"}};
  EXPECT_EQ(find_allocation(machine, "").cores_per_node, 96);
}

TEST(SlurmAllocation, KnowsAStepFromTheJobsOwnShell) {
  Machine machine;
  machine.environment = {{"SLURM_JOB_ID", "7"}};
  EXPECT_FALSE(find_allocation(machine, "").inside_step);
  machine.environment["SLURM_STEP_ID"] = "0";
  EXPECT_TRUE(find_allocation(machine, "").inside_step);
  machine.environment["SLURM_STEP_ID"] = "4294967290";
  EXPECT_FALSE(find_allocation(machine, "").inside_step) << "salloc's shell";
}

}  // namespace
}  // namespace resnext
