// Data is copied once a host, a run reads copies of its own data, and copies never meet.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/staging.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <set>

#include "comm/common/error.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

class StagingTest : public testing::Test {
 protected:
  StagePlan plan(const std::string& train, const std::string& validation = "") const {
    RunConfig config;
    config.data.train = {train};
    if (!validation.empty()) config.data.validation = {validation};
    return make_stage_plan({}, config, folder_ / "disk");
  }
  static std::string copy_of(const std::string& override) {
    return override.substr(override.find('=') + 1);
  }
  std::set<std::string> copies() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / "disk")) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(".")) names.insert(name);
    }
    return names;
  }
  static int stage(const StagePlan& plan) { return test::run(plan.argv, 50).exit_code; }

  test::TemporaryFolder folder_;
};

TEST_F(StagingTest, EachFileOfASplitIsCopied) {
  for (const char* name : {"a.h5", "b.h5"}) test::write_text(folder_ / name, name);
  RunConfig config;
  config.data.train = {folder_ / "a.h5", folder_ / "b.h5:/g"};
  const StagePlan both = make_stage_plan({}, config, folder_ / "disk");
  ASSERT_EQ(both.overrides.size(), 1u);
  EXPECT_TRUE(both.overrides[0].starts_with("data.train=[\"" + (folder_ / "disk/a-")));
  EXPECT_NE(both.overrides[0].find("\", \"" + (folder_ / "disk/b-")), std::string::npos);
  EXPECT_TRUE(both.overrides[0].ends_with(".h5:/g\"]"));
  EXPECT_EQ(stage(both), 0);
  EXPECT_EQ(copies().size(), 2u);
}

TEST_F(StagingTest, CopiesAndPointsToTheCopies) {
  test::write_text(folder_ / "a.h5", "training");
  test::write_text(folder_ / "b c'*$.h5", "validation");
  const StagePlan both = plan(folder_ / "a.h5", folder_ / "b c'*$.h5");
  ASSERT_EQ(both.overrides.size(), 2u);
  EXPECT_TRUE(both.overrides[0].starts_with("data.train=" + (folder_ / "disk/a-")));
  EXPECT_TRUE(both.overrides[1].starts_with("data.validation=" + (folder_ / "disk/b_c___-")));
  for (const char* time : {"first", "second"}) {
    EXPECT_EQ(stage(both), 0) << time;
    EXPECT_EQ(test::read_text(copy_of(both.overrides[0])), "training");
    EXPECT_EQ(test::read_text(copy_of(both.overrides[1])), "validation");
    EXPECT_EQ(copies().size(), 2u);
  }
  EXPECT_THROW(plan(folder_ / "none.h5"), DataError);
  EXPECT_EQ(plan(folder_ / "a.h5:/set/train").overrides[0], both.overrides[0] + ":/set/train");
}

TEST_F(StagingTest, DifferentFilesOfOneNameSizeAndTimeDoNotMeet) {
  fs::create_directories(folder_ / "one");
  fs::create_directories(folder_ / "two");
  test::write_text(folder_ / "one/train.h5", "AAAA");
  test::write_text(folder_ / "two/train.h5", "BBBB");
  fs::last_write_time(folder_ / "two/train.h5", fs::last_write_time(folder_ / "one/train.h5"));
  const StagePlan one = plan(folder_ / "one/train.h5");
  const StagePlan two = plan(folder_ / "two/train.h5");
  EXPECT_EQ(stage(one), 0);
  EXPECT_EQ(stage(two), 0);
  EXPECT_EQ(test::read_text(copy_of(one.overrides[0])), "AAAA");
  EXPECT_EQ(test::read_text(copy_of(two.overrides[0])), "BBBB");
}

TEST_F(StagingTest, ChangedFileIsCopiedAgainAndAnOldPlanRefused) {
  test::write_text(folder_ / "a.h5", "old");
  const StagePlan old = plan(folder_ / "a.h5");
  EXPECT_EQ(stage(old), 0);
  test::write_text(folder_ / "a.h5", "newer");
  const StagePlan now = plan(folder_ / "a.h5");
  EXPECT_NE(stage(old), 0) << "it would copy the new file under the old one's name";
  EXPECT_EQ(stage(now), 0);
  EXPECT_EQ(test::read_text(copy_of(old.overrides[0])), "old") << "somebody may read it";
  EXPECT_EQ(test::read_text(copy_of(now.overrides[0])), "newer");
  const timespec long_ago[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ::utimensat(AT_FDCWD, copy_of(old.overrides[0]).c_str(), long_ago, 0);
  EXPECT_EQ(stage(now), 0);
  EXPECT_EQ(copies().size(), 1u) << "nobody has read the old one for a week";
}

TEST_F(StagingTest, LinkAndItsTargetAreOneFile) {
  test::write_text(folder_ / "a.h5", "training");
  fs::create_symlink(folder_ / "a.h5", folder_ / "link.h5");
  EXPECT_EQ(plan(folder_ / "a.h5").overrides, plan(folder_ / "link.h5").overrides);
}

TEST_F(StagingTest, TornCopiesAreMadeAgain) {
  test::write_text(folder_ / "a.h5", "training");
  const StagePlan one = plan(folder_ / "a.h5");
  fs::create_directories(folder_ / "disk");
  test::write_text(copy_of(one.overrides[0]), "trai");
  test::write_text(copy_of(one.overrides[0]) + ".partial-77", "trai");
  EXPECT_EQ(stage(one), 0);
  EXPECT_EQ(test::read_text(copy_of(one.overrides[0])), "training");
  EXPECT_EQ(copies().size(), 1u);
}

TEST_F(StagingTest, KilledInTheMiddleItIsMadeWholeByTheNext) {
  test::write_text(folder_ / "a.h5", std::string(64 << 20, 'x'));
  const StagePlan one = plan(folder_ / "a.h5");
  for (int i = 0; i < 5; ++i) {
    test::Process process(one.argv);
    test::wait_until([&] { return fs::exists(folder_ / "disk") && copies().size() > 0; }, 30);
    process.kill_all();
  }
  EXPECT_EQ(stage(one), 0);
  EXPECT_EQ(copies().size(), 1u);
  EXPECT_EQ(fs::file_size(copy_of(one.overrides[0])), size_t{64} << 20);
}

// `cp` that writes down each call, so that copies can be counted.
TEST_F(StagingTest, ManyAtOnceCopyOnce) {
  test::write_text(folder_ / "a.h5", std::string(1 << 20, 'x'));
  fs::create_directories(folder_ / "bin");
  test::write_text(folder_ / "bin/cp", "#!/bin/sh\necho x >> " + (folder_ / "calls") +
                                           "\nsleep 0.2\nexec /bin/cp \"$@\"\n");
  fs::permissions(folder_ / "bin/cp", fs::perms::owner_all);
  const StagePlan one = plan(folder_ / "a.h5");
  std::deque<test::Process> all;
  for (int i = 0; i < 8; ++i) {
    all.emplace_back(one.argv,
                     test::Words{"PATH=" + (folder_ / "bin") + ":" + std::getenv("PATH")});
  }
  for (test::Process& process : all) EXPECT_EQ(process.wait(50).exit_code, 0);
  EXPECT_EQ(test::read_text(folder_ / "calls"), "x\n");
  EXPECT_EQ(copies().size(), 1u);
}

TEST(Staging, RunsOnceOnEachHost) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.h5", "");
  RunConfig config;
  config.data.train = {folder / "a.h5"};
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
