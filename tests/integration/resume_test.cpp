// A run that is interrupted anywhere and started again ends as if nothing had happened, bit for
// bit: the same logged losses, the same bytes of weights and momentum.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "tests/integration/worker_run.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

constexpr int kStopped = 75;

// ---- run.steps ------------------------------------------------------------------------------

struct Interrupted {
  int ranks;
  int accumulation;
  std::vector<int> after;  // steps; one after the other, in the same run folder
};

class ResumeAfter : public testing::TestWithParam<Interrupted> {};

void expect_to_end_as_the_whole_run(int ranks, const std::vector<int>& after, const Words& more) {
  const Workspace work;
  const Result whole = work.train(ranks, "whole", more);
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  for (const int steps : after) {
    const Result part =
        work.train(ranks, "parts", more + Words{"run.steps=" + std::to_string(steps)});
    ASSERT_EQ(part.exit_code, 0) << part.err;
    ASSERT_EQ(logged_steps(work / "parts"), steps);
  }
  const Result last = work.train(ranks, "parts", more);
  ASSERT_EQ(last.exit_code, 0) << last.err;
  const bool averages = fs::exists(newest_checkpoint(work / "whole") / "ema.pt");
  EXPECT_EQ(reproducible_lines(work / "whole").size(),
            kSteps + (averages ? 2 : 1) * kSteps / kStepsPerEpoch);
  EXPECT_TRUE(same_run(work / "whole", work / "parts"));
}

TEST_P(ResumeAfter, EndsAsTheWholeRun) {
  const auto& [ranks, accumulation, after] = GetParam();
  expect_to_end_as_the_whole_run(ranks, after,
                                 {"batch.accumulation=" + std::to_string(accumulation)});
}

// The loss scale is part of what a checkpoint keeps.
TEST(ResumeAfterReducedTypes, EndsAsTheWholeRun) {
  expect_to_end_as_the_whole_run(2, {3, 11}, {"precision.compute=fp16", "comm.compress=bf16"});
  expect_to_end_as_the_whole_run(2, {5}, {"precision.compute=bf16", "model.recompute_stages=3"});
}

std::vector<int> every_step() {
  std::vector<int> steps(kSteps - 1);
  std::iota(steps.begin(), steps.end(), 1);
  return steps;
}

// What is mixed and averaged follows from the place; the average is a file of the checkpoint.
TEST(ResumeAfterRecipes, EndsAsTheWholeRun) {
  const Words mixed = {"mix.mixup=0.2", "mix.cutmix=1", "optimizer.loss=bce",
                       "optimizer.label_smoothing=0.1"};
  const Words averaged = {"ema.decay=0.8", "ema.every_steps=3"};
  const bool all = std::getenv("RESUME_AT_EVERY_STEP") != nullptr;
  expect_to_end_as_the_whole_run(2, all ? every_step() : std::vector{2, 9}, mixed + averaged);
  expect_to_end_as_the_whole_run(3, {9}, averaged + Words{"ema.warmup_epochs=1"});
}

// What is drawn for an image, its copies and its blocks follows from the place too.
TEST(ResumeAfterAugmentations, EndsAsTheWholeRun) {
  const Words drawn = {
      "data.repeats=2",           "model.stochastic_depth=0.5", "data.augment.policy=rand",
      "data.augment.erasing=0.5", "data.interpolation=random",  "mix.cutmix=1"};
  expect_to_end_as_the_whole_run(2, {2, 9}, drawn);
  expect_to_end_as_the_whole_run(0, {5}, drawn + Words{"batch.accumulation=2"});
}

// Sizes follow the epoch, frozen layers stay.
TEST(ResumeAfterFineTuning, EndsAsTheWholeRun) {
  const Words sizes = {"data.early_sizes=[8]", "data.early_size_epochs=[1]", "mix.cutmix=1"};
  expect_to_end_as_the_whole_run(2, {3, 9}, sizes);
  expect_to_end_as_the_whole_run(3, {9}, {"model.freeze=1", "model.recompute_stages=2"});
}

// A top-1 that stands still ends the run at the epoch that was asked for, with 0; another start
// sees it without training.
TEST(EarlyStop, EndsTheRunOnceAndForAll) {
  const Workspace work;
  const Words still = {"run.epochs=20", "run.early_stop=2", "optimizer.base_lr=1e-12"};
  for (const int ranks : {0, 2}) {
    const std::string name = "run" + std::to_string(ranks);
    const Result first = work.train(ranks, name, still + Words{"run.steps=11"});
    ASSERT_EQ(first.exit_code, 0) << first.err;
    const Result second = work.train(ranks, name, still);
    ASSERT_EQ(second.exit_code, 0) << second.err;
    EXPECT_NE(second.err.find("the run ends early"), std::string::npos) << second.err;
    const int steps = logged_steps(work / name);
    EXPECT_GE(steps, 3 * kStepsPerEpoch);
    EXPECT_LT(steps, 20 * kStepsPerEpoch);
    ASSERT_EQ(work.train(ranks, name, still).exit_code, 0);
    EXPECT_EQ(logged_steps(work / name), steps);
  }
}

// Each optimizer keeps its state; the gradients' norm is logged with each line.
TEST(ResumeAfterOptimizers, EndsAsTheWholeRun) {
  const Words clipped = {"optimizer.clip_norm=0.5", "optimizer.decay_norms=false"};
  for (const char* kind : {"lars", "lamb", "adamw"}) {
    expect_to_end_as_the_whole_run(
        2, {9}, clipped + Words{"optimizer.kind=" + std::string(kind), "schedule.per_epoch=true"});
  }
  const Workspace work;
  ASSERT_EQ(work.train(0, "run", clipped + Words{"run.steps=3"}).exit_code, 0);
  for (const std::string& line : reproducible_lines(work / "run")) {
    EXPECT_EQ(line.find("\"gradient_norm\"") != std::string::npos,
              line.find("\"train\"") != std::string::npos)
        << line;
  }
  const Result other = work.train(2, "run", clipped + Words{"optimizer.kind=lamb"});
  EXPECT_EQ(other.exit_code, 64);
  EXPECT_NE(other.err.find("optimizer.kind: is lamb, but"), std::string::npos) << other.err;
  EXPECT_NE(other.err.find("was saved by sgd"), std::string::npos) << other.err;
}

std::string name_of(const testing::TestParamInfo<Interrupted>& info) {
  return "Ranks" + std::to_string(info.param.ranks) + "Accumulation" +
         std::to_string(info.param.accumulation);
}

INSTANTIATE_TEST_SUITE_P(EveryStep, ResumeAfter, testing::Values(Interrupted{3, 1, every_step()}),
                         name_of);
INSTANTIATE_TEST_SUITE_P(SomeSteps, ResumeAfter,
                         testing::Values(Interrupted{0, 1, {8}}, Interrupted{0, 2, {1}},
                                         Interrupted{2, 1, {1, 11}}, Interrupted{2, 2, {8}},
                                         Interrupted{3, 2, {1, 11}}),
                         name_of);

// ---- signals --------------------------------------------------------------------------------

// Long enough that a signal finds it running.
const Words kLong = {"run.epochs=10"};

// Starts the run, and sends `signal` to what was started once `step` steps are logged.
Result signalled(const Workspace& work, int ranks, const Words& more, int step, int signal) {
  Process process(work.train_command(ranks, "parts", more));
  EXPECT_TRUE(wait_until([&] { return logged_steps(work / "parts") >= step; }, kRunTimeout))
      << process.err();
  ::kill(process.pid(), signal);
  const Result result = process.wait(kRunTimeout);
  EXPECT_TRUE(process.all_gone(kRunTimeout));
  return result;
}

class StopSignal : public testing::TestWithParam<int> {};  // ranks

// mpirun forwards SIGUSR1. Four steps a log line: the stop comes within an interval.
TEST_P(StopSignal, SavesAndContinues) {
  const Workspace work;
  const Words more = kLong + Words{"log.every_steps=4"};
  ASSERT_EQ(work.train(GetParam(), "whole", more).exit_code, 0);
  for (const int step : {4, 36}) {
    const Result part = signalled(work, GetParam(), more, step, SIGUSR1);
    ASSERT_EQ(part.exit_code, kStopped) << part.err;
  }
  ASSERT_EQ(work.train(GetParam(), "parts", more).exit_code, 0);
  EXPECT_TRUE(same_run(work / "whole", work / "parts"));
}

INSTANTIATE_TEST_SUITE_P(Ranks, StopSignal, testing::Values(0, 3));

TEST(KilledRank, TakesTheJobDownAndContinues) {
  const Workspace work;
  const Words more = kLong + Words{"checkpoint.every_steps=3"};
  ASSERT_EQ(work.train(3, "whole", more).exit_code, 0);
  Process process(work.train_command(3, "parts", more));
  ASSERT_TRUE(wait_until([&] { return logged_steps(work / "parts") >= 5; }, kRunTimeout));
  const pid_t last = process_of_rank(process, 2);
  ASSERT_GT(last, 0);
  ::kill(last, SIGKILL);
  const Result killed = process.wait(kRunTimeout);
  EXPECT_FALSE(killed.timed_out);
  EXPECT_NE(killed.exit_code, 0);
  EXPECT_TRUE(process.all_gone(kRunTimeout));
  ASSERT_EQ(work.train(3, "parts", more).exit_code, 0);
  EXPECT_TRUE(same_run(work / "whole", work / "parts"));
}

// ---- damage ---------------------------------------------------------------------------------

void flip_bit(const fs::path& path) {
  std::string bytes = read_text(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_text(path, bytes);
}

struct Damage {
  const char* name;
  void (*apply)(const fs::path& checkpoint);
};

const Damage kDamages[] = {
    {"a flipped bit", [](const fs::path& c) { flip_bit(c / "model.pt"); }},
    {"a truncated file", [](const fs::path& c) { fs::resize_file(c / "optimizer.pt", 100); }},
    {"a missing file", [](const fs::path& c) { fs::remove(c / "optimizer.pt"); }},
    {"garbage", [](const fs::path& c) { write_text(c / "manifest.json", "\xff{]"); }},
    {"another version",
     [](const fs::path& c) { write_text(c / "manifest.json", R"({"format_version": "x"})"); }},
};

TEST(DamagedCheckpoint, IsNamedAndThePreviousOneUsed) {
  const Workspace work;
  const Words often = {"checkpoint.every_steps=3", "checkpoint.keep=9"};
  ASSERT_EQ(work.train(0, "whole", often).exit_code, 0);
  ASSERT_EQ(work.train(0, "part", often + Words{"run.steps=11"}).exit_code, 0);
  for (const Damage& damage : kDamages) {
    SCOPED_TRACE(damage.name);
    fs::remove_all(work / "damaged");
    fs::copy(work / "part", work / "damaged",
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    const fs::path newest = newest_checkpoint(work / "damaged");
    damage.apply(newest);
    const Result resumed = work.train(0, "damaged", often);
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_NE(resumed.err.find("warning passing over a damaged checkpoint: " + newest.string()),
              std::string::npos)
        << resumed.err;
    EXPECT_NE(resumed.err.find("continuing after step 9"), std::string::npos) << resumed.err;
    EXPECT_TRUE(same_run(work / "whole", work / "damaged"));
  }
}

}  // namespace
}  // namespace resnext::test
