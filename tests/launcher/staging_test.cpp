// Data is copied once a host, and the run reads the copies.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/staging.h"

#include <gtest/gtest.h>

#include "tests/support/process.h"

namespace resnext {
namespace {

TEST(Staging, CopiesAndPointsToTheCopies) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.h5", "training");
  test::write_text(folder / "b c.h5", "validation");
  RunConfig config;
  config.data.train = folder / "a.h5";
  config.data.validation = folder / "b c.h5";
  const StagePlan plan = make_stage_plan({}, config, folder / "disk");
  EXPECT_EQ(plan.overrides, (test::Words{"data.train=" + (folder / "disk/train.h5"),
                                         "data.validation=" + (folder / "disk/validation.h5")}));
  EXPECT_EQ(test::run(plan.argv, 20).exit_code, 0);
  EXPECT_EQ(test::read_text(folder / "disk/train.h5"), "training");
  EXPECT_EQ(test::read_text(folder / "disk/validation.h5"), "validation");
  EXPECT_EQ(test::run(plan.argv, 20).exit_code, 0) << "a second time";
  config.data.train = folder / "none.h5";
  EXPECT_NE(test::run(make_stage_plan({}, config, folder / "disk2").argv, 20).exit_code, 0);
}

TEST(Staging, RunsOnceOnEachHost) {
  RunConfig config;
  config.data.train = "a.h5";
  Allocation slurm;
  slurm.scheduler = Scheduler::kSlurm;
  slurm.nodes = 4;
  const auto argv = make_stage_plan(slurm, config, "/tmp/d").argv;
  EXPECT_EQ(test::Words(argv.begin(), argv.begin() + 5),
            (test::Words{"srun", "--mpi=none", "--nodes=4", "--ntasks=4", "--ntasks-per-node=1"}));
  Allocation hosts;
  hosts.scheduler = Scheduler::kHosts;
  hosts.hosts = {{"a", 8}, {"b", 8}};
  EXPECT_EQ(make_stage_plan(hosts, config, "/tmp/d").argv[2], "a,b");
  EXPECT_TRUE(make_stage_plan({}, {}, "/tmp/d").argv.empty()) << "there is nothing to copy";
}

}  // namespace
}  // namespace resnext
