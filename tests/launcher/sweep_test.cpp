// Whole sweeps by the real launcher, with a shell script in place of resnext_worker.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <filesystem>

#include "launcher/sweep_task.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using test::Result;
using test::Words;

// Writes metrics as the worker does: top1 is ten times the seed. A trial of seed 3 fails while the
// file `fail` is there.
constexpr const char* kWorker = R"sh(#!/bin/sh
out=$(sed -n 's/^ *output: "\(.*\)"/\1/p' "$1")
seed=$(sed -n 's/^ *seed: //p' "$1")
here=$(dirname "$0")
echo "$seed gpus=$CUDA_VISIBLE_DEVICES cores=$(taskset -cp $$ | sed 's/.*: //')" >> "$here/starts"
mkdir -p "$out"
[ "$seed" = 3 ] && [ -e "$here/fail" ] && exit 77
echo "{\"event\":\"train\",\"step\":5,\"loss\":1}" > "$out/metrics.jsonl"
echo "{\"event\":\"validation\",\"step\":5,\"top1\":$((seed * 10))}" >> "$out/metrics.jsonl"
echo "{\"event\":\"end\",\"exit_code\":0}" >> "$out/metrics.jsonl"
)sh";

class SweepTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy_file(RESNEXT_BIN_DIR "/resnext_launcher", folder_ / "resnext_launcher");
    test::write_text(folder_ / "resnext_worker", kWorker);
    fs::permissions(folder_ / "resnext_worker", fs::perms::owner_all);
    test::write_text(folder_ / "base.yaml", "run: {epochs: 1}\n");
    test::write_text(folder_ / "s.yaml", "base: base.yaml\noutput: " + (folder_ / "out") +
                                             "\ngrid: {run.seed: [1, 3, 2]}\n");
  }
  Result sweep(const Words& more = {}) {
    Words words = {folder_ / "resnext_launcher", "sweep", folder_ / "s.yaml", "-n", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return test::run(words, 50);
  }
  size_t starts() const {
    const std::string text = test::read_text(folder_ / "starts");
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  std::string leaderboard() const { return test::read_text(folder_ / "out/leaderboard.csv"); }

  test::TemporaryFolder folder_;
};

TEST_F(SweepTest, DryRunStartsAndWritesNothing) {
  const Result result = sweep({"--dry-run"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("seed3"), std::string::npos) << result.out;
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  EXPECT_EQ(starts(), 0u);
}

TEST_F(SweepTest, RanksTheTrialsByTheMetric) {
  const Result result = sweep();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string csv = leaderboard();
  const auto first = csv.find("seed3,1,30,finished,3,");
  const auto second = csv.find("seed2,2,20,finished,2,");
  const auto third = csv.find("seed1,3,10,finished,1,");
  EXPECT_TRUE(first < second && second < third && third != csv.npos) << csv;
  EXPECT_NE(result.out.find("trial  place  top1     state"), std::string::npos) << result.out;
}

TEST_F(SweepTest, FinishedTrialsAreSkippedAndFailedOnesRetried) {
  test::write_text(folder_ / "fail", "");
  Result result = sweep();
  EXPECT_EQ(result.exit_code, 77) << result.err;
  EXPECT_EQ(starts(), 3u) << "the others ran all the same";
  EXPECT_NE(leaderboard().find("seed3,,,failed (77)"), std::string::npos) << leaderboard();
  fs::remove(folder_ / "fail");
  result = sweep();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(starts(), 4u);
  EXPECT_NE(leaderboard().find("seed3,1,30,finished"), std::string::npos) << leaderboard();
  EXPECT_EQ(sweep().exit_code, 0);
  EXPECT_EQ(starts(), 4u) << "all are finished";
}

TEST_F(SweepTest, RunsOneTrialOfAnArray) {
  EXPECT_EQ(sweep({"--trial", "1"}).exit_code, 0);
  EXPECT_EQ(test::read_text(folder_ / "starts").substr(0, 2), "3 ");
  EXPECT_EQ(starts(), 1u);
  EXPECT_EQ(sweep({"--trial", "3"}).exit_code, 64);
}

TEST_F(SweepTest, ParallelTrialsGetDisjointCores) {
  const Result result = sweep({"--parallel", "2"});
  if (result.err.find("there is 1 cores") != std::string::npos) GTEST_SKIP() << "one core only";
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(starts(), 3u);
  const std::string lines = test::read_text(folder_ / "starts");
  const auto cores = [&](char seed) {
    const auto line = lines.find(std::string(1, seed) + " gpus=");
    const auto begin = lines.find("cores=", line);
    return lines.substr(begin, lines.find('\n', begin) - begin);
  };
  EXPECT_NE(cores('1'), cores('3')) << lines;
  EXPECT_EQ(sweep({"--parallel", "1000"}).exit_code, 64);
}

TEST_F(SweepTest, BadSweepStartsNothing) {
  test::write_text(folder_ / "s.yaml", "base: base.yaml\noutput: out\ngrid: {run.sed: [1]}\n");
  const Result result = sweep();
  EXPECT_EQ(result.exit_code, 64);
  EXPECT_NE(result.err.find("s.yaml:3:8: unknown key 'run.sed'"), std::string::npos) << result.err;
  EXPECT_EQ(starts(), 0u);
}

TEST(SbatchCommand, HasTheUnfinishedTrialsOnly) {
  SweepTask task;
  task.file = "/x/s.yaml";
  task.parallel = 2;
  task.sbatch_options = {"--time=60"};
  task.overrides = {"run.epochs=2"};
  EXPECT_EQ(
      sbatch_command(task, "/y/job.sh", {0, 2, 3}),
      (Words{"sbatch", "--array=0,2,3%2", "--time=60", "/y/job.sh", "/x/s.yaml", "run.epochs=2"}));
}

}  // namespace
}  // namespace resnext
