// What a user can get wrong: the exit code of the contract, one line that says what is wrong, where
// and what to do next, from all ranks together, and nothing left half-written. No call takes
// anywhere near comm.timeout_s.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/worker_run.h"
#include "tests/support/tiny_data.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

// mpirun otherwise sleeps for one or two seconds between two ways of ending ranks.
const Words kNoSleep = {"OMPI_MCA_odls_base_sigkill_timeout=0"};
constexpr int kConfig = 64;
constexpr int kData = 65;
constexpr int kOutput = 73;

// "@/" in an argument stands for the workspace.
struct Mistake {
  Words arguments;  // after the correct ones, which they override
  int exit_code;
  Words fragments;  // of the line: where, what, remedy
};

// Not one of these may create the run folder.
const Mistake kMistakes[] = {
    {{"optimizer.base_lrr=1"},
     kConfig,
     {"optimizer.base_lrr", "unknown key", "'optimizer.base_lr'"}},
    {{"run.epochs=many"}, kConfig, {"run.epochs", "'many' is not a whole number", "give"}},
    {{"run.epochs=-1"}, kConfig, {"run.epochs", "'-1' is out of range", "from 1 to"}},
    {{"optimizer.base_lr=.nan"}, kConfig, {"optimizer.base_lr", "not a finite number", "give"}},
    {{"optimizer.base_lr=.inf"}, kConfig, {"optimizer.base_lr", "not a finite number", "give"}},
    {{"nonsense"}, kConfig, {"'nonsense'", "has no '='", "write key=value"}},
    {{"--nonsense"}, kConfig, {"command line", "--nonsense", "--help"}},
    {{"--plan", "--evaluate"},
     kConfig,
     {"command line", "--evaluate and --plan at once", "one of them"}},
    {{"batch.global=102"}, kConfig, {"batch", "exceeds the 96 training images", "lower"}},
    {{"model.norm=group", "model.norm_group=5"},
     kConfig,
     {"model.norm_group", "are not groups of 5", "a divisor of the number of ranks"}},
    {{"model.norm=group"}, kConfig, {"model.norm_group", "go together", "set both"}},
    {{"model.norm=synced"}, kConfig, {"model.norm", "'synced'", "sync"}},
    {{"data.class_weights=balanced", "mix.mixup=0.2"},
     kConfig,
     {"data.class_weights", "mixed images do not have", "set it to none"}},
    {{"comm.compress=bf16", "precision.compute=fp64"},
     kConfig,
     {"comm.compress", "gradients of type Double are not compressed", "set it to none"}},
    {{"data.train=\"\""}, kConfig, {"data.train", "no file is named", "resnext_data pack"}},
    {{"data.train=@/none.h5"}, kData, {"/none.h5", "cannot be opened", "check the path"}},
    {{"data.validation=@/none.h5"}, kData, {"/none.h5", "cannot be opened", "check the path"}},
    {{"data.train=synthetic"}, kConfig, {"data.validation", "is a file", "make both synthetic"}},
    {{"data.train=synthetic", "data.validation=synthetic", "--evaluate"},
     kConfig,
     {"data.validation", "is synthetic: of random images", "data.validation=FILE.h5"}},
    {{"data.train=@/folder"}, kData, {"/folder", "is a folder", "pack imagefolder"}},
    {{"data.train=@/cut.h5"}, kData, {"/cut.h5", "truncated", "again"}},
    {{"data.train=@/text"}, kData, {"/text", "is not an HDF5 file", "resnext_data pack"}},
    {{"data.train=@/unnamed.h5"}, kData, {"/unnamed.h5", "label", "pack"}},
    {{"data.train=@/five.h5", "model.classes=4"},
     kData,
     {"/five.h5", "has 5 classes, the model only 4", "model.classes"}},
    {{"data.validation=@/five.h5"}, kData, {"/five.h5", "only here: class 4", "--classes"}},
    {{"model.pretrained=@/none.pt"}, kConfig, {"/none.pt", "cannot be opened", "name"}},
    {{"model.pretrained=@/text"}, kConfig, {"/text", "not a file of torch.save()", "use"}},
    {{"model.pretrained=@/cut.pt"}, kConfig, {"/cut.pt", "", ""}},
    {{"model.pretrained=@/wide.pt"}, kConfig, {"/wide.pt", "[16, 3, 3, 3]", ""}},
    {{"run.resume=@/none"}, kConfig, {"/none", "cannot be read", "run.resume"}},
    {{"run.output=@/text"}, kOutput, {"/text", "cannot be written", "run.output"}},
    {{"run.output=@/text/run"}, kOutput, {"/text/run", "cannot be written", "run.output"}},
};

class WrongInput : public testing::Test {
 protected:
  WrongInput() {
    fs::create_directory(work_ / "folder");
    write_text(work_ / "text", "a text\n");
    write_text(work_ / "cut.h5", read_text(work_ / "train.h5").substr(0, 5000));
    write_tiny_container(work_ / "five.h5", {.images = 20, .classes = 5, .named = 5});
    write_tiny_container(work_ / "unnamed.h5", {.images = 20, .classes = 5, .named = 4});
  }

  // Weights of another width, and a part of them.
  void make_weights() {
    ASSERT_EQ(work_.train(0, "wide", {"model.stem.width=16", "run.steps=1"}).exit_code, 0);
    const std::string bytes = read_text(newest_checkpoint(work_ / "wide") / "model.pt");
    write_text(work_ / "wide.pt", bytes);
    write_text(work_ / "cut.pt", bytes.substr(0, bytes.size() / 2));
  }

  std::string resolved(const std::string& word) const {
    const size_t at = word.find("@/");
    return at == std::string::npos ? word : word.substr(0, at) + work_ / word.substr(at + 2);
  }

  void expect_refusal(const Result& result, int exit_code, const Words& fragments) const {
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(fs::exists(work_ / "run"));
    const Words lines = error_lines(result.err);
    ASSERT_EQ(lines.size(), 1u) << result.err;
    EXPECT_NE(lines[0].find("; "), std::string::npos) << "no remedy: " << lines[0];
    for (const std::string& fragment : fragments) {
      EXPECT_NE(lines[0].find(fragment), std::string::npos) << lines[0] << "\nlacks " << fragment;
    }
  }

  void check(const Mistake& mistake, int ranks, const Words& environment = {}) const {
    SCOPED_TRACE(testing::PrintToString(mistake.arguments) + " on " + std::to_string(ranks));
    Words arguments;
    for (const std::string& word : mistake.arguments) arguments.push_back(resolved(word));
    const Result result =
        run(work_.train_command(ranks, "run", arguments), kRunTimeout, environment);
    expect_refusal(result, mistake.exit_code, mistake.fragments);
  }

  Workspace work_;
};

TEST_F(WrongInput, WithoutMpirun) {
  make_weights();
  for (const Mistake& mistake : kMistakes) check(mistake, 0);
}

// On two and three ranks in turn.
TEST_F(WrongInput, UnderMpirun) {
  make_weights();
  int number = 0;
  for (const Mistake& mistake : kMistakes) check(mistake, 2 + number++ % 2, kNoSleep);
}

TEST_F(WrongInput, OneOfEachKindOnEveryNumberOfRanks) {
  for (int ranks = 1; ranks <= 3; ++ranks) {
    check({{"run.epochs=-1"}, kConfig, {"run.epochs"}}, ranks);
    check({{"data.train=@/none.h5"}, kData, {"/none.h5"}}, ranks);
    check({{"run.output=@/text/run"}, kOutput, {"/text/run"}}, ranks);
  }
}

TEST_F(WrongInput, WorldSizeThatDoesNotDivideTheBatch) {
  check({{"batch.global=16"},
         kConfig,
         {"batch.global", "16 cannot be split evenly over 3 ranks", "15 or 18", "1, 2, 4"}},
        3);
}

TEST_F(WrongInput, ConfigurationFiles) {
  write_text(work_ / "keys.yaml", "run:\n  epoch: 3\n");
  write_text(work_ / "broken.yaml", "run: {epochs: 3");
  const std::pair<Words, Words> calls[] = {
      {{}, {"command line", "no configuration is named", "--help"}},
      {{work_ / "none.yaml"}, {"/none.yaml", "cannot be opened", "configs/tiny.yaml"}},
      {{work_ / "folder"}, {"/folder", "is a folder", "name a configuration file"}},
      {{work_ / "keys.yaml"}, {"/keys.yaml:2:3", "unknown key 'run.epoch'", "'run.epochs'"}},
      {{work_ / "broken.yaml"}, {"/broken.yaml:1:", "YAML syntax error", ""}},
  };
  for (const auto& [arguments, fragments] : calls) {
    for (const int ranks : {0, 2}) {
      SCOPED_TRACE(testing::PrintToString(arguments) + " on " + std::to_string(ranks));
      expect_refusal(run(worker_command(ranks, arguments), kRunTimeout, kNoSleep), kConfig,
                     fragments);
    }
  }
}

TEST_F(WrongInput, ResumeNoneOverAnEarlierRunLeavesItAsItIs) {
  ASSERT_EQ(work_.train(0, "old", {"run.steps=2"}).exit_code, 0);
  const std::string metrics = read_text(work_ / "old/metrics.jsonl");
  for (const int ranks : {0, 3}) {
    const Result again = run(work_.train_command(ranks, "old", {"run.resume=none"}), kRunTimeout);
    expect_refusal(
        again, kConfig,
        {"run.resume", "is none, but", "has checkpoints", "run.output to another folder"});
    EXPECT_EQ(read_text(work_ / "old/metrics.jsonl"), metrics);
  }
}

}  // namespace
}  // namespace resnext::test
