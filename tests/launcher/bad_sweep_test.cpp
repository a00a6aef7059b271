// Every mistake in a sweep: 64, with the line and a remedy, and nothing started or written.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <filesystem>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/sweep_folder.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

struct BadSweep {
  const char* yaml;  // after "base: base.yaml" on line 1 and "output: OUT" on line 2
  std::vector<std::string> fragments;
};

const BadSweep kBadSweeps[] = {
    // keys
    {"grid: {model.cardinalty: [1]}",
     {":3:8", "unknown key 'model.cardinalty'", "model.cardinality"}},
    {"gird: {run.seed: [1]}", {":3:1", "unknown key 'gird'", "the keys are base, output"}},
    {"grid: {run.output: [a]}", {":3:8", "set for each trial by the sweep", "'output' and 'name'"}},
    {"grid: {run.seed: [1], run.seed: [2]}", {":3:23", "'run.seed' is given twice"}},
    {"grid: {run.seed: [1]}\nzip: {run.seed: [2]}", {":4:7", "is in grid and in zip"}},
    {"grid: {run.seed: [1]}\ngrid: {}", {":4:1", "'grid' is given twice"}},
    // lists
    {"grid: {run.seed: []}", {":3:18", "'run.seed' has no list of values", "[1, 2, 4]"}},
    {"grid: {run.seed: 3}", {":3:18", "'run.seed' has no list of values"}},
    {"grid: [run.seed]", {":3:7", "'grid' is not a map"}},
    {"grid: {}", {"nothing is varied", "'grid' or 'zip'"}},
    {"zip: {run.seed: [1, 2], run.epochs: [1]}", {":3:37", "has 1 values, but 'run.seed' has 2"}},
    // values
    {"grid:\n  run.seed:\n    - 1\n    - x", {":6:7", "'x' is not a whole number"}},
    {"grid: {optimizer.base_lr: [0.1, -1]}", {":3:33", "out of range", "number above 0"}},
    {"grid: {schedule.kind: [linear]}", {":3:24", "step, cosine"}},
    {"grid: {run.seed: [~]}", {":3:19", "has a value that is not one"}},
    {"grid: {run.seed: [{a: 1}]}", {":3:19", "has a value that is not one"}},
    {"set: {run.epochs: 0}\ngrid: {run.seed: [1]}", {":3:19", "out of range"}},
    {"grid: {model.depth: [51]}", {"model.depth=51", "use 50, 101 or 152"}},
    {"metric: {name: top2}\ngrid: {run.seed: [1]}", {":3:16", "'top2'", "top1, top5, loss"}},
    {"metric: {goal: best}\ngrid: {run.seed: [1]}", {":3:16", "max, min"}},
    {"metric: {gaol: max}\ngrid: {run.seed: [1]}", {":3:10", "unknown key 'metric.gaol'"}},
    // names
    {"grid: {run.seed: [1, 1]}", {"two trials have the name 'seed1'", "give each value once"}},
    {"name: x\ngrid: {run.seed: [1, 2]}", {":3:7", "two trials have the name 'x'"}},
    {"name: '{run.sed}'\ngrid: {run.seed: [1]}", {":3:7", "unknown key '{run.sed}'", "run.seed"}},
    {"name: '{run.seed'\ngrid: {run.seed: [1]}", {":3:7", "'{' without '}'"}},
    // repeats
    {"repeats: 0\ngrid: {run.epochs: [1]}", {":3:10", "'0' is no number of repeats", "from 1"}},
    {"repeats: 2x\ngrid: {run.epochs: [1]}", {":3:10", "'2x' is no number of repeats"}},
    {"repeats: 2\ngrid: {run.seed: [1]}", {":3:10", "which is varied too", "one of the two"}},
    // successive halving
    {"stop: {rungs: [1]}\ngrid: {run.seed: [1]}",
     {":3:7", "there are none", "set data.validation"}},
    {"stop: {rungs: [100]}\ngrid: {run.seed: [1]}", {":3:7", "trial 'seed1' has 100 epochs"}},
    {"stop: {rungs: [2, 2]}\ngrid: {run.seed: [1]}", {":3:19", "'2' is no next rung", "[5, 15]"}},
    {"stop: {rungs: [0]}\ngrid: {run.seed: [1]}", {":3:16", "'0' is no next rung"}},
    {"stop: {rungs: 5}\ngrid: {run.seed: [1]}", {":3:15", "'stop.rungs' is not a list"}},
    {"stop: {keep: 0.5}\ngrid: {run.seed: [1]}", {":3:7", "'stop' has no 'rungs'"}},
    {"stop: {rungs: [1], keep: 1}\ngrid: {run.seed: [1]}", {":3:26", "between 0 and 1"}},
    {"stop: {rungs: [1], metric: top2}\ngrid: {run.seed: [1]}", {":3:28", "top1, top5, loss"}},
    {"stop: {rung: [1]}\ngrid: {run.seed: [1]}", {":3:8", "unknown key 'stop.rung'"}},
    // exclusion and matching
    {"grid: {run.seed: [1]}\nexclude: [{run.seed: 1}]", {"leaves no trial"}},
    {"grid: {run.seed: [1]}\nexclude: [{}]", {":4:11", "excludes every trial"}},
    {"grid: {run.seed: [1]}\nexclude: {run.seed: 1}", {":4:10", "'exclude' is not a list"}},
    {"match: speed\ngrid: {model.cardinality: [1]}", {":3:8", "parameters, gmac"}},
    {"match: gmac\ngrid: {run.seed: [1]}", {":3:8", "needs cardinalities"}},
    {"match: gmac\ngrid: {model.cardinality: [1], model.base_width: [4]}", {":3:8", "varied too"}},
    {"match: parameters\ngrid: {model.cardinality: [1024]}",
     {":3:8", "no base_width gives cardinality 1024", "leave cardinality 1024 out"}},
    // syntax
    {"grid: {run.seed: [1}", {":3:", "YAML syntax error"}},
    {"grid:\n\trun.seed: [1]", {":4: a tab indents the line"}},
};

class BadSweepTest : public testing::Test {
 protected:
  void SetUp() override { test::write_text(folder_ / "base.yaml", "model: {depth: 50}\n"); }

  std::string head() const { return "base: base.yaml\noutput: " + (folder_ / "out") + "\n"; }

  // The message that reading the sweep and looking at its folder end in.
  std::string complaint(const std::string& text) {
    test::write_text(folder_ / "s.yaml", text);
    try {
      const SweepFile sweep = read_sweep(folder_ / "s.yaml");
      const auto trials = expand_sweep(sweep, {}, 1);
      SweepFolder(sweep, trials);
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kConfig);
      return error.what();
    }
    return "";
  }

  void expect(const std::string& text, const std::vector<std::string>& fragments) {
    const std::string message = complaint(text);
    EXPECT_NE(message, "") << "was accepted:\n" << text;
    for (const std::string& fragment : fragments) {
      EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
    }
  }

  SweepFolder make_folder(const std::string& grid) {
    test::write_text(folder_ / "s.yaml", head() + grid);
    sweep_ = read_sweep(folder_ / "s.yaml");
    trials_ = expand_sweep(sweep_, {}, 1);
    return SweepFolder(sweep_, trials_);
  }

  test::TemporaryFolder folder_;
  SweepFile sweep_;
  std::vector<Trial> trials_;
};

TEST_F(BadSweepTest, EachMistakeIsNamedWithItsLineAndARemedy) {
  for (const BadSweep& bad : kBadSweeps) expect(head() + bad.yaml, bad.fragments);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out")) << "nothing was written";
}

TEST_F(BadSweepTest, MissingParts) {
  expect("output: x\ngrid: {run.seed: [1]}", {"there is no 'base'"});
  expect("base: base.yaml\ngrid: {run.seed: [1]}", {"there is no 'output'"});
  expect("base: none.yaml\noutput: x\ngrid: {run.seed: [1]}", {"none.yaml", "cannot be opened"});
  expect("3", {"not a sweep file"});
  expect("", {"not a sweep file"});
}

TEST_F(BadSweepTest, FolderOfAnotherSweepIsRefused) {
  make_folder("grid: {run.seed: [1]}").prepare();
  EXPECT_EQ(complaint(head() + "grid: {run.seed: [1]}"), "") << "its own folder";
  EXPECT_EQ(complaint(head() + "grid: {run.seed: [1, 2]}"), "") << "a trial more is welcome";
  test::write_text(folder_ / "out/sweep.json", R"({"sweep": "other"})");
  expect(head() + "grid: {run.seed: [1]}",
         {"folder of another sweep, 'other'", "another 'output'"});
}

TEST_F(BadSweepTest, FolderWithSomethingElseIsRefused) {
  std::filesystem::create_directories(folder_ / "out");
  EXPECT_EQ(complaint(head() + "grid: {run.seed: [1]}"), "") << "an empty folder";
  test::write_text(folder_ / "out/precious.txt", "x");
  expect(head() + "grid: {run.seed: [1]}", {"not the folder of a sweep"});
}

TEST_F(BadSweepTest, TrialWithOtherSettingsIsRefused) {
  make_folder("grid: {run.seed: [1]}").prepare();
  expect(head() + "set: {run.epochs: 7}\ngrid: {run.seed: [1]}",
         {"seed1/trial.yaml", "'epochs: 100', now 'epochs: 7'"});
}

}  // namespace
}  // namespace resnext
