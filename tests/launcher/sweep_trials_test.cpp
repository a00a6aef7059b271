// Sweep files become trials: combinations, names, solved widths, costs.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_trials.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "comm/common/error.h"
#include "launcher/width_match.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

class SweepTrialsTest : public testing::Test {
 protected:
  std::vector<Trial> expand(const std::string& text,
                            const std::vector<std::string>& overrides = {}) {
    test::write_text(folder_ / "s.yaml", "base: base.yaml\noutput: out\n" + text);
    return expand_sweep(read_sweep(folder_ / "s.yaml"), overrides, 1);
  }
  std::vector<std::string> names(const std::string& text) {
    std::vector<std::string> all;
    for (const Trial& trial : expand(text)) all.push_back(trial.name);
    return all;
  }

  void SetUp() override {
    test::write_text(folder_ / "base.yaml",
                     "model: {family: cifar, depth: 11, cardinality: 4, base_width: 16}\n");
  }
  test::TemporaryFolder folder_;
};

using Names = std::vector<std::string>;

TEST_F(SweepTrialsTest, GridIsTheProductInTheFilesOrder) {
  EXPECT_EQ(names("grid: {model.cardinality: [1, 2], run.seed: [7, 8]}"),
            (Names{"cardinality1_seed7", "cardinality1_seed8", "cardinality2_seed7",
                   "cardinality2_seed8"}));
}

TEST_F(SweepTrialsTest, ZipGoesTogether) {
  EXPECT_EQ(names("grid: {run.seed: [1, 2]}\n"
                  "zip: {model.cardinality: [1, 2], model.base_width: [64, 40]}\n"
                  "name: '{model.cardinality}x{model.base_width}d-{run.seed}'"),
            (Names{"1x64d-1", "2x40d-1", "1x64d-2", "2x40d-2"}));
}

TEST_F(SweepTrialsTest, ExcludeRemovesWhatMatchesAllItsKeys) {
  EXPECT_EQ(
      names("grid: {model.cardinality: [1, 2], optimizer.base_lr: [0.1, 0.2]}\n"
            "exclude: [{model.cardinality: 2, optimizer.base_lr: 0.20}]"),
      (Names{"cardinality1_base_lr0.1", "cardinality1_base_lr0.2", "cardinality2_base_lr0.1"}))
      << "0.20 is 0.2";
}

TEST_F(SweepTrialsTest, RepeatsDifferInTheirSeedOnly) {
  const auto trials = expand("repeats: 2\nset: {run.seed: 7}\ngrid: {model.cardinality: [1, 2]}");
  ASSERT_EQ(trials.size(), 4u);
  EXPECT_EQ(trials[1].name, "cardinality1-seed8");
  EXPECT_EQ(trials[1].group, trials[0].group);
  EXPECT_NE(trials[1].group, trials[2].group);
  EXPECT_EQ(trials[1].config.run.seed, 8u);
  EXPECT_EQ(trials[1].config.run.output, "out/cardinality1-seed8");
}

TEST_F(SweepTrialsTest, ListsAndWordsAreValuesToo) {
  EXPECT_EQ(names("grid: {schedule.milestones: [[30, 60], []], schedule.kind: [step]}"),
            (Names{"milestones30_60_kindstep", "milestones_kindstep"}));
}

TEST_F(SweepTrialsTest, SettingsReachTheTrials) {
  const auto trials = expand(
      "set: {run.epochs: 3, optimizer.base_lr: 0.5}\n"
      "grid: {run.seed: [5]}",
      {"run.epochs=4"});
  const RunConfig& config = trials.front().config;
  EXPECT_EQ(config.run.epochs, 4) << "the command line counts most";
  EXPECT_EQ(config.optimizer.base_lr, 0.5);
  EXPECT_EQ(config.run.seed, 5u);
  EXPECT_EQ(config.run.output, "out/seed5");
  EXPECT_EQ(config.run.name, "seed5");
  EXPECT_THROW(expand("grid: {run.seed: [5]}", {"run.output=elsewhere"}), ConfigError);
}

TEST_F(SweepTrialsTest, MatchSolvesTheWidthOfEachCardinality) {
  const auto trials = expand("match: parameters\ngrid: {model.cardinality: [1, 2, 4, 8]}");
  const double reference = static_cast<double>(trials[2].cost.parameters);
  for (const Trial& trial : trials) {
    const double ratio = static_cast<double>(trial.cost.parameters) / reference;
    EXPECT_GE(ratio, 1) << trial.name;
    EXPECT_LE(ratio, 1 + kMatchTolerance) << trial.name;
    EXPECT_EQ(trial.config.model.base_width % 2, 0);
  }
  EXPECT_EQ(trials[2].config.model.base_width, 16) << "the reference stays as it is";
}

TEST_F(SweepTrialsTest, MemoryCountsWeightsGradientsMomentumAndActivations) {
  const Trial trial = expand("set: {batch.per_rank: 3}\ngrid: {run.seed: [1]}").front();
  EXPECT_EQ(trial.memory_bytes, 12 * trial.cost.parameters + 3 * trial.cost.activation_bytes);
}

// Table 2 of the paper, from its own reference.
TEST(WidthMatch, GivesThePapersRowForParameters) {
  ModelOptions reference;
  reference.classes = 1000;
  const auto width = [&](int64_t cardinality, Match match) {
    return matched_width(reference, cardinality, 224, match, "test");
  };
  EXPECT_EQ(width(1, Match::kParameters), 64);
  EXPECT_EQ(width(2, Match::kParameters), 40);
  EXPECT_EQ(width(4, Match::kParameters), 24);
  EXPECT_EQ(width(8, Match::kParameters), 14);
  EXPECT_EQ(width(32, Match::kParameters), 4);
  reference.depth = 101;
  EXPECT_EQ(width(1, Match::kParameters), 64) << "the paper's 101-layer networks have the same";
  EXPECT_EQ(width(8, Match::kParameters), 14);
}

TEST(WidthMatch, MatchesMultiplyAdds) {
  ModelOptions reference;
  reference.classes = 1000;
  const double wanted = model_cost(reference, 224).gmac;
  for (const int64_t cardinality : {1, 2, 4, 8, 16}) {
    ModelOptions model = reference;
    model.cardinality = cardinality;
    model.base_width = matched_width(reference, cardinality, 224, Match::kGmac, "test");
    EXPECT_GE(model_cost(model, 224).gmac, wanted);
    model.base_width -= 2;
    EXPECT_LT(model_cost(model, 224).gmac, wanted) << "it is the smallest";
  }
}

TEST(WidthMatch, KeepsEachStagesChannelsWhole) {
  ModelOptions reference;
  reference.family = Family::kCifar;
  reference.depth = 29;
  reference.cardinality = 8;
  reference.base_width = 64;
  reference.classes = 10;
  reference.stem.width = 16;
  EXPECT_EQ(matched_width(reference, 4, 32, Match::kParameters, "test") * 16 % 64, 0);
}

TEST(WidthMatch, SaysWhenNoWidthFits) {
  ModelOptions reference;
  reference.classes = 1000;
  try {
    matched_width(reference, 1024, 224, Match::kParameters, "s.yaml:4:8");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(std::string(error.what()).find("s.yaml:4:8: no base_width gives cardinality 1024"),
              0u);
  }
}

TEST(Presets, CardinalitySweepOfResnext50IsTheSeedsTable) {
  const std::string file = RESNEXT_SOURCE_DIR "/configs/sweeps/cardinality_resnext50.yaml";
  Names names;
  const auto trials = expand_sweep(read_sweep(file), {}, 8);
  for (const Trial& trial : trials) names.push_back(trial.name);
  EXPECT_EQ(names, (Names{"1x64d", "2x40d", "4x24d", "8x14d", "32x4d"}));
  const std::string table = describe_trials(trials);
  for (const char* figure : {"25557032", "25028904", "4.089", "97.49"}) {
    EXPECT_NE(table.find(figure), std::string::npos) << figure << " in\n" << table;
  }
}

TEST(Presets, CardinalitySweepOfFashionMnistIsAtEqualParameters) {
  const std::string file = RESNEXT_SOURCE_DIR "/configs/sweeps/cardinality_fashion_mnist.yaml";
  const auto trials = expand_sweep(read_sweep(file), {}, 2);
  ASSERT_EQ(trials.size(), 4u);
  for (const Trial& trial : trials) {
    EXPECT_NEAR(static_cast<double>(trial.cost.parameters), 135898, 0.04 * 135898);
  }
}

// Each part of the recipe alone and all together, over three seeds.
TEST(Presets, RecipeSweepOfFashionMnistChangesOnePartAtATime) {
  const std::string file = RESNEXT_SOURCE_DIR "/configs/sweeps/recipes_fashion_mnist.yaml";
  const auto trials = expand_sweep(read_sweep(file), {}, 1);
  ASSERT_EQ(trials.size(), 15u);
  std::map<std::string, std::set<uint64_t>> seeds;
  std::vector<int> parts;
  for (const Trial& trial : trials) {
    const RunConfig& c = trial.config;
    seeds[trial.group].insert(c.run.seed);
    const bool mixes = c.mix.mixup > 0;
    EXPECT_EQ(mixes, c.mix.cutmix > 0);
    parts.push_back((c.ema.decay > 0 ? 1 : 0) + (mixes ? 2 : 0) +
                    (c.data.augment.policy == AugmentPolicy::kTrivial ? 4 : 0));
    EXPECT_EQ(c.run.epochs, trials[0].config.run.epochs);
    EXPECT_EQ(trial.cost.parameters, trials[0].cost.parameters);
  }
  EXPECT_EQ(parts, (std::vector<int>{0, 0, 0, 1, 1, 1, 2, 2, 2, 4, 4, 4, 7, 7, 7}));
  EXPECT_EQ(seeds.size(), 5u);
  for (const auto& [group, of_group] : seeds) EXPECT_EQ(of_group.size(), 3u) << group;
}

}  // namespace
}  // namespace resnext
