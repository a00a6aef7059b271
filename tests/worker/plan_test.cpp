// What --plan takes for the data, and its schedule.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/plan.h"

#include <gtest/gtest.h>

#include <sstream>

namespace resnext {
namespace {

RunShape shape_of(int64_t images, int64_t batch, int64_t steps) {
  RunShape shape;
  shape.batch.global = batch;
  shape.train_images = images;
  shape.steps_per_epoch = images / batch;
  shape.total_steps = steps;
  return shape;
}

// Epoch, step and rate of each row.
std::vector<std::tuple<int, int, double>> rows(const RunConfig& config, const RunShape& shape) {
  std::istringstream table(schedule_table(config, shape));
  std::vector<std::tuple<int, int, double>> rows;
  std::string line;
  std::getline(table, line);
  int epoch = 0;
  int step = 0;
  for (double rate = 0; table >> epoch >> step >> rate;) rows.emplace_back(epoch, step, rate);
  return rows;
}

TEST(Plan, OfSteppedRatesHasARowForEachStep) {
  RunConfig config;
  config.optimizer.base_lr = 0.1;
  config.optimizer.base_batch = 100;
  config.schedule.milestones = {30, 60};
  config.run.epochs = 90;
  using Row = std::tuple<int, int, double>;
  EXPECT_EQ(rows(config, shape_of(1000, 100, 900)),
            (std::vector<Row>{{1, 1, 0.1}, {31, 301, 0.01}, {61, 601, 0.001}, {90, 900, 0.001}}));
}

// Each of 1,000 epochs has its own rate; they were 1,000 figures on a line.
TEST(Plan, OfAThousandEpochsHasAboutTenRows) {
  RunConfig config;
  config.schedule.kind = ScheduleKind::kCosine;
  config.schedule.warmup_epochs = 5;
  config.run.epochs = 1000;
  const auto table = rows(config, shape_of(1000, 100, 10'000));
  EXPECT_GE(table.size(), 10u);
  EXPECT_LE(table.size(), 12u);
  EXPECT_EQ(std::get<0>(table.front()), 1);
  EXPECT_EQ(std::get<0>(table[1]), 6) << "where the warm-up has ended";
  EXPECT_EQ(std::get<1>(table.back()), 10'000) << "the last step";
  for (size_t i = 2; i < table.size(); ++i) {
    EXPECT_LT(std::get<2>(table[i]), std::get<2>(table[i - 1]));
  }
}

TEST(Plan, EndsWhereTheRunIsCutShort) {
  RunConfig config;
  config.run.epochs = 90;
  const auto table = rows(config, shape_of(1000, 100, 15));
  EXPECT_EQ(std::get<1>(table.back()), 15);
  EXPECT_EQ(std::get<0>(table.back()), 2);
}

TEST(Plan, TakesCountsThatAreSaidElseThoseOfThePapersData) {
  RunConfig config;
  config.data.train = {"/nowhere/train.h5"};
  const auto imagenet = counts_without_data(config, {});
  ASSERT_TRUE(imagenet);
  EXPECT_EQ(imagenet->train, 1'281'167);
  EXPECT_EQ(imagenet->validation, 50'000);
  EXPECT_EQ(imagenet->classes, 1000);
  EXPECT_EQ(imagenet->origin, "ImageNet-1K, /nowhere/train.h5 is not there");
  config.model.family = Family::kCifar;
  config.model.classes = 100;
  EXPECT_EQ(counts_without_data(config, {})->train, 50'000);
  EXPECT_EQ(counts_without_data(config, {})->classes, 100);
  const auto said = counts_without_data(config, {60'000, 10'000});
  EXPECT_EQ(said->train, 60'000);
  EXPECT_EQ(said->validation, 10'000);
  EXPECT_EQ(counts_without_data(config, {7})->validation, 0);
}

TEST(Plan, TakesTheDataThatIsThere) {
  RunConfig config;
  config.data.train = {std::string(RESNEXT_SOURCE_DIR) + "/README.md:/group"};
  EXPECT_FALSE(counts_without_data(config, {}));
  EXPECT_TRUE(counts_without_data(config, {100}));
  config.data.train = {kSynthetic};
  EXPECT_FALSE(counts_without_data(config, {}));
}

}  // namespace
}  // namespace resnext
