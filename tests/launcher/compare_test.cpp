// What `compare` says of two configurations, against the figures that the recipes' sources give.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "configs/yaml_reader.h"

namespace resnext {
namespace {

RunConfig preset(const std::string& name, const std::vector<std::string>& overrides = {}) {
  return read_run_config(RESNEXT_SOURCE_DIR "/configs/" + name + ".yaml", overrides);
}

std::string value_of(const std::vector<Row>& rows, const std::string& name) {
  const auto found = std::ranges::find_if(rows, [&](const Row& row) { return row[0] == name; });
  return found == rows.end() ? "missing" : (*found)[1];
}

TEST(Compare, NamesTheKeysThatDiffer) {
  const RunConfig a = preset("rsb_a1_resnext50_32x4d"), b = preset("rsb_a2_resnext50_32x4d");
  std::vector<std::string> keys;
  for (const Row& row : differing_keys(a, b)) keys.push_back(row[0]);
  EXPECT_EQ(keys, (std::vector<std::string>{"key", "run.epochs", "optimizer.weight_decay",
                                            "optimizer.label_smoothing", "mix.mixup"}));
  EXPECT_EQ(differing_keys(a, a).size(), 1U);
}

TEST(Compare, SaysWhatTorchvisionsRecipeMeans) {
  const RunConfig config = preset("torchvision_v2_resnext101_64x4d");
  const std::vector<Row> rows = effects(config, {}, {1, 6, 303, 600, 700});
  EXPECT_EQ(value_of(rows, "images a step"), "1024");
  EXPECT_EQ(value_of(rows, "steps an epoch"), "1251");  // 1,281,167 / 1024
  EXPECT_EQ(value_of(rows, "images an epoch"), "1281024");
  EXPECT_EQ(value_of(rows, "different ones among them"), "320256");
  EXPECT_EQ(value_of(rows, "steps in all"), "750600");
  EXPECT_EQ(value_of(rows, "effective rate"), "0.5");
  EXPECT_EQ(value_of(rows, "rate at epoch 1"), "0.005");
  EXPECT_EQ(value_of(rows, "rate at epoch 6"), "0.5");
  // torch.optim.lr_scheduler.CosineAnnealingLR: T_max 595.
  const double middle = 0.25 * (1 + std::cos(std::numbers::pi * 297 / 595));
  EXPECT_NEAR(std::stod(value_of(rows, "rate at epoch 303")), middle, 1e-4);
  EXPECT_EQ(value_of(rows, "rate at epoch 700"), "-");
  // 32 / (1 - 0.998908) updates.
  EXPECT_EQ(value_of(rows, "the average reaches back"), "29304 updates, 23.4 epochs");
}

// torchvision's resnext50_32x4d: 25,028,904 parameters, of which 68,224 are batch normalisation's
// and 1,000 the classifier's bias.
TEST(Compare, CountsTheWeightsThatDecay) {
  const double all = 25028904, norms = 68224, bias = 1000;
  EXPECT_DOUBLE_EQ(decaying_share(preset("torchvision_v1_resnext50_32x4d")), 1);
  EXPECT_DOUBLE_EQ(decaying_share(preset("torchvision_v2_resnext50_32x4d")), (all - norms) / all);
  EXPECT_DOUBLE_EQ(decaying_share(preset("rsb_a1_resnext50_32x4d")), (all - norms - bias) / all);
  EXPECT_EQ(decaying_share(preset("rsb_a1_resnext50_32x4d", {"optimizer.weight_decay=0"})), 0);
}

TEST(Compare, BatchesOfEachRankDependOnTheirNumber) {
  const RunConfig config = preset("resnext50_32x4d");
  CompareTask task;
  EXPECT_EQ(value_of(effects(config, task, {}), "images a step"), "256");
  task.ranks = 64;
  task.images = 20480;
  const std::vector<Row> rows = effects(config, task, {});
  EXPECT_EQ(value_of(rows, "images a step"), "2048");
  EXPECT_EQ(value_of(rows, "steps an epoch"), "10");
  EXPECT_EQ(value_of(rows, "effective rate"), "0.8");
}

}  // namespace
}  // namespace resnext
