// The exact command line for each kind of place that a run starts in.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/launch_plan.h"

#include <gtest/gtest.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

LaunchOptions options() {
  LaunchOptions options;
  options.worker = "resnext_worker";
  options.config = "cfg.yaml";
  return options;
}

// The command and its environment without the notes.
std::string line(const Allocation& allocation, const RunConfig& config = {},
                 const LaunchOptions& launch = options()) {
  LaunchPlan plan = make_launch_plan(allocation, config, launch);
  plan.notes.clear();
  return to_shell(plan);
}

std::string complaint(const Allocation& allocation, const RunConfig& config,
                      const LaunchOptions& launch) {
  try {
    make_launch_plan(allocation, config, launch);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

Allocation laptop() {
  Allocation a;
  a.cores_per_node = 8;
  return a;
}

Allocation gpu_node() {
  Allocation a;
  a.gpus_per_node = 8;
  a.cores_per_node = 96;
  return a;
}

Allocation slurm(int nodes, int tasks, int gpus) {
  Allocation a = gpu_node();
  a.scheduler = Scheduler::kSlurm;
  a.nodes = nodes;
  a.tasks_per_node = tasks;
  a.gpus_per_node = gpus;
  a.cores_per_task = 12;
  return a;
}

LaunchOptions with_starter(Starter starter) {
  LaunchOptions launch = options();
  launch.starter = starter;
  return launch;
}

TEST(LaunchPlan, LaptopGetsARankACore) {
  EXPECT_EQ(line(laptop()),
            "OMP_NUM_THREADS=1 \\\n"
            "mpirun -np 8 --mca odls_base_sigkill_timeout 1 --map-by ppr:8:node --bind-to none "
            "resnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, RanksOnCoresDivideTheGlobalBatch) {
  RunConfig config;
  config.batch.global = 20;  // of 8, 7 and 6 cores none divides it
  EXPECT_EQ(make_launch_plan(laptop(), config, options()).ranks, 5);
}

TEST(LaunchPlan, RanksKnowTheTerminalUnlessTheirLinesGoToFiles) {
  LaunchOptions launch = options();
  launch.terminal = "120 colour";
  EXPECT_NE(line(laptop(), {}, launch).find("RESNEXT_TERMINAL='120 colour'"), std::string::npos);
  Allocation hosts = laptop();
  hosts.scheduler = Scheduler::kHosts;
  hosts.nodes = 2;
  hosts.hosts = {{"a", 8}, {"b", 8}};
  EXPECT_NE(line(hosts, {}, launch).find("-x RESNEXT_TERMINAL"), std::string::npos);
  launch.rank_logs = "logs";
  EXPECT_EQ(line(laptop(), {}, launch).find("RESNEXT_TERMINAL"), std::string::npos);
}

TEST(LaunchPlan, QuietRanksAreToldSo) {
  LaunchOptions launch = options();
  launch.quiet = true;
  EXPECT_NE(line(laptop(), {}, launch).find("cfg.yaml --quiet"), std::string::npos);
}

TEST(LaunchPlan, RanksGetTheGpusNearTheirCores) {
  Allocation node = gpu_node();
  node.gpus_per_node = 2;
  node.cores_per_node = 4;
  node.here.gpus = {"0", "1"};
  node.here.cores = {{0}, {1}, {2}, {3}};
  node.here.near = {{2, 3}, {0, 1}};
  EXPECT_NE(line(node).find("CUDA_DEVICE_ORDER=PCI_BUS_ID \\\nCUDA_VISIBLE_DEVICES=1,0 "),
            std::string::npos)
      << line(node);
  node.may_bind = false;
  EXPECT_EQ(line(node).find("CUDA_VISIBLE_DEVICES"), std::string::npos) << "ranks move about";
}

TEST(LaunchPlan, OneRankNeedsNoMpirun) {
  LaunchOptions launch = options();
  launch.ranks = 1;
  launch.overrides = {"run.name=a b"};
  EXPECT_EQ(line(laptop(), {}, launch),
            "OMP_NUM_THREADS=8 \\\nresnext_worker cfg.yaml 'run.name=a b'\n");
}

TEST(LaunchPlan, MoreRanksThanCoresGiveWay) {
  LaunchOptions launch = options();
  launch.ranks = 12;
  EXPECT_EQ(line(laptop(), {}, launch),
            "OMP_NUM_THREADS=1 \\\n"
            "mpirun -np 12 --mca odls_base_sigkill_timeout 1 --map-by ppr:12:node --bind-to none "
            "--oversubscribe "
            "--mca mpi_yield_when_idle 1 resnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, OneNodeWithEightGpusBindsEachRankToItsCores) {
  EXPECT_EQ(line(gpu_node()),
            "OMP_NUM_THREADS=1 \\\n"
            "mpirun -np 8 --mca odls_base_sigkill_timeout 1 --map-by ppr:8:node:PE=12 --bind-to "
            "core resnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, FourNodesOfEightUnderSlurmBySrun) {
  EXPECT_EQ(line(slurm(4, 8, 8)),
            "OMP_NUM_THREADS=1 \\\n"
            "NCCL_SOCKET_IFNAME=^lo \\\n"
            "srun --mpi=pmix --kill-on-bad-exit=1 --nodes=4 --ntasks=32 --ntasks-per-node=8 "
            "--cpus-per-task=12 resnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, FourNodesOfEightUnderSlurmByMpirun) {
  EXPECT_EQ(line(slurm(4, 8, 8), {}, with_starter(Starter::kMpirun)),
            "OMP_NUM_THREADS=1 \\\n"
            "NCCL_SOCKET_IFNAME=^lo \\\n"
            "mpirun -np 32 --mca odls_base_sigkill_timeout 1 --map-by ppr:8:node:PE=12 --bind-to "
            "core -x OMP_NUM_THREADS "
            "-x NCCL_SOCKET_IFNAME resnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, OneTaskANodeStillMeansARankAGpu) {
  const LaunchPlan plan = make_launch_plan(slurm(4, 1, 8), {}, with_starter(Starter::kMpirun));
  EXPECT_EQ(plan.ranks, 32);
  EXPECT_NE(to_shell(plan).find("--oversubscribe"), std::string::npos)
      << "mpirun counts Slurm's tasks as slots";
}

TEST(LaunchPlan, HostListOfTwoNodes) {
  Allocation a = gpu_node();
  a.scheduler = Scheduler::kHosts;
  a.nodes = 2;
  a.hosts = {{"a", 8}, {"b", 8}};
  a.tasks_per_node = 8;
  a.virtual_interfaces = {"docker0"};
  EXPECT_EQ(line(a),
            "OMP_NUM_THREADS=1 \\\n"
            "OMPI_MCA_btl_tcp_if_exclude=lo,docker0 \\\n"
            "OMPI_MCA_oob_tcp_if_exclude=lo,docker0 \\\n"
            "NCCL_SOCKET_IFNAME=^lo,docker0 \\\n"
            "mpirun -np 16 --mca odls_base_sigkill_timeout 1 --host a:8,b:8 --map-by "
            "ppr:8:node:PE=12 --bind-to core "
            "-x OMP_NUM_THREADS -x NCCL_SOCKET_IFNAME resnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, HostsMayHaveDifferentNumbersOfRanks) {
  Allocation a = gpu_node();
  a.scheduler = Scheduler::kHosts;
  a.nodes = 2;
  a.hosts = {{"a", 8}, {"b", 4}};
  a.tasks_per_node = 8;
  EXPECT_NE(line(a).find("mpirun -np 12 "), std::string::npos) << line(a);
  EXPECT_NE(line(a).find("--host a:8,b:4 --map-by slot"), std::string::npos) << line(a);
}

TEST(LaunchPlan, InsideAStepOfSrunItsResourcesAreShared) {
  Allocation job = slurm(2, 8, 8);
  EXPECT_EQ(line(job).find("--overlap"), std::string::npos);
  job.inside_step = true;
  EXPECT_NE(line(job).find("srun --mpi=pmix"), std::string::npos);
  EXPECT_NE(line(job).find("--overlap"), std::string::npos);
}

TEST(LaunchPlan, TokenOfTheLaunchersLockReachesRanksOnAllHosts) {
  Allocation hosts = laptop();
  hosts.scheduler = Scheduler::kHosts;
  hosts.nodes = 2;
  hosts.hosts = {{"a", 8}, {"b", 8}};
  LaunchOptions launch = options();
  launch.lock_token = "abc";
  EXPECT_NE(line(hosts, {}, launch).find("RESNEXT_LAUNCHER_LOCK=abc"), std::string::npos);
  EXPECT_NE(line(hosts, {}, launch).find("-x RESNEXT_LAUNCHER_LOCK"), std::string::npos);
}

TEST(LaunchPlan, NamedInterfaceGoesToBothLibraries) {
  LaunchOptions launch = options();
  launch.interface = "ib0";
  EXPECT_EQ(line(slurm(2, 8, 8), {}, launch),
            "OMP_NUM_THREADS=1 \\\n"
            "OMPI_MCA_btl_tcp_if_include=ib0 \\\n"
            "OMPI_MCA_oob_tcp_if_include=ib0 \\\n"
            "NCCL_SOCKET_IFNAME=ib0 \\\n"
            "srun --mpi=pmix --kill-on-bad-exit=1 --nodes=2 --ntasks=16 --ntasks-per-node=8 "
            "--cpus-per-task=12 resnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, OneVisibleGpuGetsOneRank) {
  Allocation a = gpu_node();
  a.gpus_per_node = 1;
  EXPECT_EQ(line(a), "OMP_NUM_THREADS=1 \\\nresnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, OneVisibleGpuARankUnderSlurm) {  // --ntasks-per-node=4 --gpus-per-task=1
  EXPECT_EQ(line(slurm(1, 4, 4)),
            "OMP_NUM_THREADS=1 \\\n"
            "srun --mpi=pmix --kill-on-bad-exit=1 --nodes=1 --ntasks=4 --ntasks-per-node=4 "
            "--cpus-per-task=12 resnext_worker cfg.yaml\n");
}

TEST(LaunchPlan, ControlGroupsLimitForbidsBinding) {
  Allocation a = gpu_node();
  a.cores_per_node = 16;  // of 96 that mpirun sees
  a.may_bind = false;
  EXPECT_EQ(line(a),
            "OMP_NUM_THREADS=1 \\\n"
            "mpirun -np 8 --mca odls_base_sigkill_timeout 1 --map-by ppr:8:node --bind-to none "
            "resnext_worker cfg.yaml\n");
  a.gpus_per_node = 0;
  a.cores_per_node = 2;
  EXPECT_EQ(make_launch_plan(a, {}, options()).ranks, 2);
}

TEST(LaunchPlan, UsersOwnSettingsStay) {
  Allocation a = slurm(2, 8, 8);
  a.environment = {{"OMP_NUM_THREADS", "3"}, {"NCCL_SOCKET_IFNAME", "eth1"}};
  EXPECT_TRUE(make_launch_plan(a, {}, options()).environment.empty());
}

TEST(LaunchPlan, RootIsAllowedToRun) {
  Allocation a = laptop();
  a.root = true;
  EXPECT_NE(line(a).find("OMPI_ALLOW_RUN_AS_ROOT=1"), std::string::npos);
}

TEST(LaunchPlan, OneLogARank) {
  LaunchOptions launch = options();
  launch.rank_logs = "logs";
  EXPECT_NE(line(slurm(2, 8, 8), {}, launch).find("--output=logs/rank-%t.log"), std::string::npos);
  EXPECT_NE(line(laptop(), {}, launch).find("--output-filename logs"), std::string::npos);
}

TEST(LaunchPlan, BackendMpiComputesOnCores) {
  RunConfig config;
  config.comm.backend = Backend::kMpi;
  EXPECT_EQ(make_launch_plan(gpu_node(), config, options()).ranks, 96);
}

TEST(LaunchPlan, RefusesWhatCannotRun) {
  LaunchOptions launch = options();
  launch.ranks = 9;
  EXPECT_NE(complaint(gpu_node(), {}, launch).find("9 ranks a host, but this host has 8 GPUs"),
            std::string::npos);
  RunConfig config;
  config.batch.global = 10;
  launch.ranks = 3;
  EXPECT_NE(complaint(laptop(), config, launch).find("cannot be split evenly"), std::string::npos);
  EXPECT_NE(complaint(laptop(), {}, with_starter(Starter::kSrun)).find("needs a Slurm job"),
            std::string::npos);
}

TEST(LaunchPlan, WarnsOfMoreDecodeThreadsThanCores) {
  RunConfig config;
  config.data.threads = 20;
  const LaunchPlan plan = make_launch_plan(gpu_node(), config, options());
  EXPECT_NE(to_shell(plan).find("data.threads is 20, but a rank has 12 cores"), std::string::npos);
}

TEST(LaunchPlan, IsAPureFunction) {
  EXPECT_EQ(line(slurm(4, 8, 8)), line(slurm(4, 8, 8)));
}

}  // namespace
}  // namespace resnext
