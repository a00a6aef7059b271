// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace resnext {
namespace {

OptimizerOptions rate(double base_lr, int64_t base_batch) {
  OptimizerOptions options;
  options.base_lr = base_lr;
  options.base_batch = base_batch;
  return options;
}

TEST(LrSchedule, ScalesLinearlyWithTheGlobalBatch) {
  EXPECT_DOUBLE_EQ(LrSchedule(rate(0.1, 256), {}, 256, 10, 100).effective_lr(), 0.1);
  EXPECT_DOUBLE_EQ(LrSchedule(rate(0.1, 256), {}, 8192, 10, 100).effective_lr(), 3.2);
  EXPECT_DOUBLE_EQ(LrSchedule(rate(0.1, 128), {}, 32, 10, 100).effective_lr(),
                   0.025);  // the seed's
}

TEST(LrSchedule, WarmsUpFromTheBaseRateByEqualIncrements) {
  ScheduleOptions options;
  options.warmup_epochs = 5;
  const LrSchedule schedule(rate(0.1, 256), options, 8192, 10, 90);
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.1 + 3.1 / 50);
  for (int step = 0; step + 1 < 50; ++step) {
    EXPECT_NEAR(schedule.at(step + 1) - schedule.at(step), 3.1 / 50, 1e-12);
  }
  EXPECT_DOUBLE_EQ(schedule.at(49), 3.2);
  EXPECT_DOUBLE_EQ(schedule.at(50), 3.2);
}

// The seed: LR * 0.1^floor(epoch / 30) for epochs counted from 0.
TEST(LrSchedule, StepsAtTheMilestonesOfTheSeed) {
  const LrSchedule schedule(rate(0.1, 256), {}, 256, 10, 100);
  for (int64_t step = 0; step < 1000; ++step) {
    EXPECT_NEAR(schedule.at(step), 0.1 * std::pow(0.1, std::min<int64_t>(3, step / 10 / 30)),
                1e-12);
  }
}

TEST(LrSchedule, FollowsTheCosineAfterWarmUp) {
  ScheduleOptions options;
  options.kind = ScheduleKind::kCosine;
  options.warmup_epochs = 2;
  const LrSchedule schedule(rate(0.4, 256), options, 256, 5, 10);
  for (int64_t step = 10; step < 50; ++step) {
    const double t = static_cast<double>(step - 10) / 40;
    EXPECT_DOUBLE_EQ(schedule.at(step), 0.2 * (1 + std::cos(std::numbers::pi * t)));
  }
  EXPECT_GT(schedule.at(49), 0);
}

}  // namespace
}  // namespace resnext
