// A run that goes on in another world: other ranks, batches, data, an older checkpoint, damage.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/integration/worker_run.h"
#include "tests/support/tiny_data.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kConfig = 64;
constexpr int kData = 65;
constexpr int kStopped = 75;

class ChangedRun : public testing::Test {
 protected:
  // Ends with 0 on `ranks`.
  Result train(int ranks, const Words& more) const {
    const Result result = work_.train(ranks, "run", more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result;
  }
  std::vector<Json> events(const std::string& kind) const {
    std::vector<Json> found;
    std::istringstream stream(read_text(run_ / "metrics.jsonl"));
    for (std::string line; std::getline(stream, line);) {
      const auto event = Json::parse(line);
      if (event.at("event") == kind) found.push_back(event);
    }
    return found;
  }
  std::vector<int> steps_of(const std::string& kind) const {
    std::vector<int> steps;
    for (const Json& event : events(kind)) steps.push_back(event.at("step"));
    return steps;
  }
  fs::path save(int step) const { return run_ / "checkpoints" / fmt::format("step-{:08}", step); }
  Json manifest(int step) const { return Json::parse(read_text(save(step) / "manifest.json")); }

  const Workspace work_;
  const fs::path run_ = work_ / "run";
};

void expect_has(const std::string& text, const Words& fragments) {
  for (const std::string& fragment : fragments) {
    EXPECT_NE(text.find(fragment), std::string::npos) << text << "\nlacks " << fragment;
  }
}

std::vector<int> to(int last) {
  std::vector<int> steps;
  for (int step = 1; step <= last; ++step) steps.push_back(step);
  return steps;
}

// 96 images: 5 updates of 4, then 24 of them (3 ranks x 2 x 4) are left 3 times: 92 of 96 are used.
// The next epoch has 4 updates of 24, then 2 of 12 and what is left of it.
TEST_F(ChangedRun, EachImageOnceAnEpochWhateverRanksAndBatches) {
  train(1, {"batch.global=4", "run.steps=5"});
  EXPECT_EQ(manifest(5).at("progress").at("epoch_images"), 20);
  const Result second =
      train(3, {"batch.global=24", "batch.accumulation=4", "run.steps=9", "run.epochs=3"});
  expect_has(second.err, {"continuing after step 5",
                          "changed since the last start: ranks 1 -> 3, global batch "
                          "4 -> 24, run.epochs 2 -> 3, effective learning rate"});
  EXPECT_EQ(manifest(9).at("progress").at("epoch"), 1);
  EXPECT_EQ(manifest(9).at("progress").at("epoch_images"), 24);
  train(2, {"batch.global=12", "run.epochs=3"});
  const int last = 9 + 6 + 8;  // (96 - 24) / 12 of the second epoch, 96 / 12 of the third
  EXPECT_EQ(steps_of("train"), to(last));
  EXPECT_EQ(steps_of("validation"), (std::vector<int>{5, 8, 9, 15, last}));
  EXPECT_EQ(manifest(last).at("progress").at("epoch"), 3);
  std::vector<int> epochs;
  for (const Json& event : events("train")) epochs.push_back(event.at("epoch"));
  EXPECT_TRUE(std::is_sorted(epochs.begin(), epochs.end()));
  EXPECT_EQ(std::ranges::count(epochs, 0), 8);
  EXPECT_EQ(std::ranges::count(epochs, 1), 7);
}

// The tally is a sum over images: two epochs that take each once have the same.
TEST_F(ChangedRun, ANewSeedCountsFromTheNextEpochOn) {
  const auto tallies = [&] {
    std::vector<uint64_t> all(2, 0);
    for (const Json& event : events("train")) {
      all.at(event.at("epoch").get<size_t>()) +=
          std::stoull(event.at("tally").get<std::string>(), nullptr, 16);
    }
    return all;
  };
  train(0, {"batch.global=8", "run.steps=5"});
  const Result second =
      train(2, {"batch.global=8", "run.seed=9", "data.repeats=1", "optimizer.momentum=0.8"});
  expect_has(
      second.err,
      {"changed since the last start: ranks 1 -> 2, the images' order from the next epoch on",
       "run.seed 1 -> 9", "optimizer.momentum 0.9 -> 0.8"});
  EXPECT_EQ(manifest(24).at("progress").at("epoch_order").at("seed"), 9);
  EXPECT_EQ(tallies()[0], tallies()[1]);
}

// More ranks once counted steps down: what was written then was removed at once.
TEST_F(ChangedRun, ALargerBatchLosesNothingThatIsWrittenAfterIt) {
  train(1, {"batch.global=4", "checkpoint.every_steps=8", "checkpoint.keep=2"});  // 48 steps
  const int before = 48;
  for (int start = 1; start <= 3; ++start) {
    const int last = before + 2 * start;
    train(2, {"batch.global=16", "run.epochs=9", "checkpoint.every_steps=2", "checkpoint.keep=2",
              "run.steps=" + std::to_string(last)});
    EXPECT_TRUE(fs::exists(save(last)));
    EXPECT_EQ(steps_of("train"), to(last));
  }
}

TEST_F(ChangedRun, GoingBackBeginsAnotherLine) {
  const Words often = {"checkpoint.every_steps=4", "checkpoint.keep=9"};
  train(0, often);
  const std::string abandoned = read_text(run_ / "metrics.jsonl");
  const Result back = train(
      0, often + Words{"run.resume=" + save(8).string(), "optimizer.base_lr=0.01", "run.steps=10"});
  expect_has(back.err, {"continuing after step 8", "changed since the last start"});
  EXPECT_FALSE(fs::exists(save(16)));
  EXPECT_TRUE(fs::exists(run_ / "checkpoints/aside-000004-step-00000016/model.pt"));
  EXPECT_EQ(read_text(run_ / "metrics.1.jsonl"), abandoned);
  EXPECT_EQ(steps_of("train"), to(10));
  const Result again = train(0, often);
  expect_has(again.err, {"continuing after step 10"});
  EXPECT_EQ(steps_of("train"), to(kSteps));
  EXPECT_EQ(steps_of("validation"), (std::vector<int>{8, 10, 16}));
}

// The launcher and Slurm say that a start repeats another.
TEST_F(ChangedRun, ARestartDoesNotGoBackAgain) {
  const Words often = {"checkpoint.every_steps=4", "checkpoint.keep=9"};
  train(0, often);
  const Words back = often + Words{"run.resume=" + save(8).string()};
  train(0, back + Words{"run.steps=12"});
  for (const char* variable : {"RESNEXT_RESTART=1", "SLURM_RESTART_COUNT=1"}) {
    const Result again =
        run(work_.train_command(0, "run", back + Words{"run.steps=13"}), kRunTimeout, {variable});
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(again.err.find("continuing after step 8"), std::string::npos) << again.err;
  }
}

TEST_F(ChangedRun, OtherDataAreRefusedUnlessAccepted) {
  train(0, {"run.steps=7"});  // 84 images of the first epoch
  write_tiny_container(work_ / "train.h5", {.images = 48, .key = 1});
  for (const int ranks : {0, 2}) {
    const Result refused = work_.train(ranks, "run");
    EXPECT_EQ(refused.exit_code, kData) << refused.err;
    ASSERT_EQ(error_lines(refused.err).size(), 1u) << refused.err;
    expect_has(error_lines(refused.err)[0],
               {"96 training images, then 48", "run.accept_new_data=true"});
  }
  train(2, {"run.accept_new_data=true"});
  EXPECT_EQ(steps_of("train"), to(7 + 4));  // no image of the epoch is left, the next has 4 batches
  EXPECT_EQ(steps_of("validation"), (std::vector<int>{7, 11}));
}

TEST_F(ChangedRun, WhenNoCheckpointCanBeReadNothingIsWiped) {
  train(0, {"checkpoint.every_steps=4", "checkpoint.keep=9"});
  for (const int step : {4, 8, 12, 16}) fs::resize_file(save(step) / "model.pt", 1000);
  const std::string metrics = read_text(run_ / "metrics.jsonl");
  for (const int ranks : {0, 3}) {
    const Result refused = work_.train(ranks, "run");
    EXPECT_EQ(refused.exit_code, kConfig) << refused.err;
    ASSERT_EQ(error_lines(refused.err).size(), 1u) << refused.err;
    expect_has(refused.err, {"holds checkpoints, and all of them are damaged", "run.resume=PATH"});
    EXPECT_EQ(read_text(run_ / "metrics.jsonl"), metrics);
    for (const int step : {4, 8, 12, 16}) EXPECT_TRUE(fs::exists(save(step)));
  }
}

// What was trained is saved before it is validated, which may fail.
TEST_F(ChangedRun, ADamagedValidationImageDoesNotLoseTheEpoch) {
  const std::string whole = read_text(work_ / "validation.h5");
  std::string bytes = whole;
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_text(work_ / "validation.h5", bytes);
  const Result failed = work_.train(2, "run");
  EXPECT_EQ(failed.exit_code, kData) << failed.err;
  EXPECT_EQ(newest_checkpoint(run_), save(kStepsPerEpoch));
  EXPECT_TRUE(steps_of("validation").empty());
  write_text(work_ / "validation.h5", whole);
  train(2, {"run.steps=9"});
  EXPECT_EQ(steps_of("validation"), (std::vector<int>{8, 9}));
  EXPECT_EQ(steps_of("train"), to(9));
  EXPECT_TRUE(fs::exists(save(8) / "validation.json"));
  EXPECT_TRUE(fs::exists(run_ / "checkpoints/best/model.pt"));
}

// One step whose loss or gradients are not finite is no damage of what is saved.
TEST_F(ChangedRun, ASkippedStepKeepsTheCheckpointLoadable) {
  const Words wild = {"precision.compute=fp16", "optimizer.base_lr=1000",
                      "checkpoint.every_steps=1", "checkpoint.keep=99", "log.every_steps=100"};
  const Result result = work_.train(0, "run", wild);
  ASSERT_NE(result.err.find("the step is skipped"), std::string::npos) << result.err;
  const fs::path newest = newest_checkpoint(run_);
  ASSERT_FALSE(newest.empty());
  const Json progress = Json::parse(read_text(newest / "manifest.json")).at("progress");
  EXPECT_TRUE(progress.at("meter_loss_sum").is_number()) << progress;
  const int step = progress.at("step");
  const Result again = work_.train(0, "run", wild + Words{"run.steps=" + std::to_string(step)});
  expect_has(again.err, {fmt::format("continuing after step {}", step)});
  EXPECT_EQ(again.err.find("damaged"), std::string::npos) << again.err;
}

// Skipped steps are counted through all starts, so that a run which only diverges ends.
TEST_F(ChangedRun, SkippedStepsAreCountedThroughStarts) {
  const Words wild = {"precision.compute=fp16", "optimizer.base_lr=1000",
                      "checkpoint.every_steps=1", "checkpoint.keep=99", "run.epochs=50"};
  int skipped = 0;
  for (int start = 1; start <= 3; ++start) {
    const Result result =
        work_.train(0, "run", wild + Words{"run.steps=" + std::to_string(4 * start)});
    if (result.exit_code != 0) break;
    const Json progress = manifest(4 * start).at("progress");
    EXPECT_GE(progress.at("skipped"), skipped);
    skipped = progress.at("skipped");
  }
  EXPECT_GT(skipped, 0);
}

TEST_F(ChangedRun, AStopDuringValidationIsMadeUpForOnce) {
  write_tiny_container(work_ / "validation.h5", {.images = 30000, .key = 2});
  for (const bool last : {false, true}) {  // of the run
    SCOPED_TRACE(last);
    fs::remove_all(run_);
    const Words more = {last ? "run.epochs=1" : "run.epochs=2"};
    Process process(work_.train_command(2, "run", more));
    ASSERT_TRUE(wait_until([&] { return fs::exists(save(8)); }, kRunTimeout)) << process.err();
    ::kill(process.pid(), SIGUSR1);
    const Result stopped = process.wait(kRunTimeout);
    ASSERT_EQ(stopped.exit_code, kStopped) << stopped.err;
    EXPECT_TRUE(steps_of("validation").empty()) << stopped.err;
    const Result rest = train(2, {"run.steps=8"});
    EXPECT_EQ(steps_of("validation"), (std::vector<int>{8}));
    EXPECT_TRUE(fs::exists(save(8) / "validation.json"));
    const Result after = train(2, {"run.steps=8"});
    EXPECT_EQ(steps_of("validation"), (std::vector<int>{8}));
    EXPECT_EQ(steps_of("train"), to(8));
  }
}

// ---- ranks that differ ----------------------------------------------------------------------

// Two ranks, each with arguments of its own.
Words two_ranks(const Words& first, const Words& second) {
  Words command = worker_command(1, first);
  const Words other = worker_command(1, second);
  command.push_back(":");
  const auto count = std::ranges::find(other, "-np");
  command.insert(command.end(), count, other.end());
  return command;
}

TEST_F(ChangedRun, RanksThatDifferAreRefusedAndNamed) {
  write_tiny_container(work_ / "other.h5", {.images = 72, .key = 1});
  const auto arguments = [&](const std::string& more) {
    return Words{work_.config(), "data.train=" + work_ / "train.h5",
                 "data.validation=" + work_ / "validation.h5", "run.output=" + work_ / "run", more};
  };
  struct Case {
    std::string other;
    int exit_code;
    Words fragments;
  };
  const Case cases[] = {
      {"optimizer.momentum=0.5",
       kConfig,
       {"configuration", "'momentum: 0.9' on rank 0", "'momentum: 0.5' on rank 1"}},
      {"run.output=" + work_ / "local", kConfig, {"configuration", "on rank 1", "local"}},
      {"data.train=" + work_ / "other.h5", kConfig, {"configuration", "other.h5\"' on rank 1"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.other);
    const Result refused = run(two_ranks(arguments("run.seed=1"), arguments(c.other)), kRunTimeout);
    EXPECT_EQ(refused.exit_code, c.exit_code) << refused.err;
    ASSERT_EQ(error_lines(refused.err).size(), 1u) << refused.err;
    expect_has(error_lines(refused.err)[0], c.fragments);
    EXPECT_FALSE(fs::exists(run_));
  }
}

// The same path, and other images behind it: as local disks of two hosts have them.
TEST_F(ChangedRun, DataThatDifferBehindTheSamePathAreRefused) {
  write_tiny_container(work_ / "other.h5", {.images = 72, .key = 1});
  if (run({"unshare", "-m", "true"}, kRunTimeout).exit_code != 0) {
    GTEST_SKIP() << "no file can be mounted here";
  }
  const Words arguments = {work_.config(), "data.train=" + work_ / "train.h5",
                           "data.validation=" + work_ / "validation.h5",
                           "run.output=" + work_ / "run"};
  Words command = two_ranks(arguments, arguments);
  const auto worker = command.end() - static_cast<int64_t>(arguments.size()) - 1;
  const std::string mounted =
      "mount --bind " + work_ / "other.h5" + " " + work_ / "train.h5" + " && exec \"$@\"";
  const Words elsewhere = {"unshare", "-m", "sh", "-c", mounted, "sh"};
  command.insert(worker, elsewhere.begin(), elsewhere.end());
  const Result refused = run(command, kRunTimeout);
  EXPECT_EQ(refused.exit_code, kData) << refused.err;
  expect_has(refused.err, {"data: it is not the same on all ranks", "\"count\": 96", "on rank 0",
                           "\"count\": 72", "on rank 1"});
  EXPECT_FALSE(fs::exists(run_));
}

}  // namespace
}  // namespace resnext::test
