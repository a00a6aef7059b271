// The rate against PyTorch's schedulers (golden/schedules.json), closed forms, and as a function of
// the place alone.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>

#include "worker/state/course.h"

namespace resnext {
namespace {

OptimizerOptions rate(double base_lr, int64_t base_batch) {
  OptimizerOptions options;
  options.base_lr = base_lr;
  options.base_batch = base_batch;
  return options;
}

ScheduleOptions cosine(double warmup_epochs) {
  ScheduleOptions options;
  options.kind = ScheduleKind::kCosine;
  options.warmup_epochs = warmup_epochs;
  return options;
}

// The place after `step` updates of one batch.
Position place(int64_t step, int64_t images, int64_t batch) {
  const int64_t whole = images / batch;
  return {step / whole, step % whole * batch};
}

TEST(LrSchedule, ScalesLinearlyWithTheGlobalBatch) {
  EXPECT_DOUBLE_EQ(LrSchedule(rate(0.1, 256), {}, 256, 2560, 100).effective_lr(), 0.1);
  EXPECT_DOUBLE_EQ(LrSchedule(rate(0.1, 256), {}, 8192, 81920, 100).effective_lr(), 3.2);
  EXPECT_DOUBLE_EQ(LrSchedule(rate(0.1, 128), {}, 32, 320, 100).effective_lr(),
                   0.025);  // the seed's
}

TEST(LrSchedule, WarmsUpFromTheBaseRateByEqualIncrements) {
  ScheduleOptions options;
  options.warmup_epochs = 5;
  const LrSchedule schedule(rate(0.1, 256), options, 8192, 81925, 90);
  const auto at = [&](int64_t step) { return schedule.at(place(step, 81925, 8192)); };
  EXPECT_DOUBLE_EQ(at(0), 0.1 + 3.1 / 50);
  for (int step = 0; step + 1 < 50; ++step) EXPECT_NEAR(at(step + 1) - at(step), 3.1 / 50, 1e-12);
  EXPECT_DOUBLE_EQ(at(49), 3.2);
  EXPECT_DOUBLE_EQ(at(50), 3.2);
}

// With fewer images a step than base_batch there is nothing to warm up from.
TEST(LrSchedule, WarmUpIsNeverAboveItsTarget) {
  for (const int64_t batch : {1, 8, 32, 255, 256, 1000}) {
    const LrSchedule schedule(rate(0.1, 256), cosine(5), batch, batch * 10, 90);
    for (int64_t step = 0; step < 900; ++step) {
      const double lr = schedule.at(place(step, batch * 10, batch));
      ASSERT_LE(lr, schedule.effective_lr() * (1 + 1e-12)) << batch << " " << step;
      ASSERT_GT(lr, 0);
    }
  }
}

// The seed: LR * 0.1^floor(epoch / 30) for epochs counted from 0.
TEST(LrSchedule, StepsAtTheMilestonesOfTheSeed) {
  const LrSchedule schedule(rate(0.1, 256), {}, 256, 2560, 100);
  for (int64_t step = 0; step < 1000; ++step) {
    EXPECT_NEAR(schedule.at(place(step, 2560, 256)),
                0.1 * std::pow(0.1, std::min<int64_t>(3, step / 10 / 30)), 1e-12);
  }
}

// torch.optim.lr_scheduler.CosineAnnealingLR(T_max = steps after warm-up, eta_min = 0), closed
// form.
TEST(LrSchedule, FollowsTheCosineAfterWarmUp) {
  const LrSchedule schedule(rate(0.4, 256), cosine(2), 256, 1280, 10);
  for (int64_t step = 10; step < 50; ++step) {
    const double t = static_cast<double>(step - 10) / 40;
    EXPECT_DOUBLE_EQ(schedule.at(place(step, 1280, 256)),
                     0.2 * (1 + std::cos(std::numbers::pi * t)));
  }
  EXPECT_GT(schedule.at({9, 4 * 256}), 0);
  EXPECT_NEAR(schedule.at({10, 0}), 0, 1e-15);
}

// Steps are whole numbers while a batch stays, and every epoch ends at its whole number.
TEST(StepsAt, EndsEveryEpochAtItsWholeNumberHoweverTheRunCameThere) {
  RunConfig config;
  config.run.epochs = 3;
  for (int64_t taken = 0; taken < 39; ++taken) {
    Progress progress;
    const Course first(config, 320, 8, false), then(config, 320, 24, false);
    for (int64_t i = 0; i < taken; ++i) first.advance(progress);
    then.adopt(progress);
    const int64_t left = then.steps_left(progress) - 2 * 13;  // of the first epoch
    double before = steps_at(progress.position, 320, 24);
    const double each = (13 - before) / static_cast<double>(left);
    for (int64_t i = 0; i < left; ++i) {
      then.advance(progress);
      const double now = steps_at(progress.position, 320, 24);
      ASSERT_NEAR(now - before, each, 1e-9);
      before = now;
    }
    ASSERT_EQ(before, 13) << taken;
  }
}

ScheduleKind kind_named(const std::string& name) {
  if (name == "cosine") return ScheduleKind::kCosine;
  if (name == "polynomial") return ScheduleKind::kPolynomial;
  return name == "one_cycle" ? ScheduleKind::kOneCycle : ScheduleKind::kStep;
}

// Twelve epochs of five steps; with per_epoch every step of an epoch has its rate.
TEST(LrSchedule, GivesTheRatesOfPyTorchsSchedulers) {
  std::ifstream file(std::string(RESNEXT_SOURCE_DIR) + "/tests/worker/golden/schedules.json");
  const auto cases = nlohmann::json::parse(file).at("cases");
  ASSERT_EQ(cases.size(), 8u);
  for (const auto& entry : cases) {
    ScheduleOptions options;
    options.kind = kind_named(entry.at("kind"));
    options.per_epoch = entry.at("per_epoch");
    options.power = entry.value("power", options.power);
    options.milestones = entry.value("milestones", options.milestones);
    options.gamma = entry.value("gamma", options.gamma);
    options.min_lr = entry.value("min_lr", options.min_lr);
    options.warmup_epochs = entry.value("warmup_epochs", options.warmup_epochs);
    options.warmup_start = entry.value("warmup_start", options.warmup_start);
    options.cooldown_epochs = entry.value("cooldown_epochs", options.cooldown_epochs);
    const LrSchedule schedule(rate(0.2, 8), options, 16, 5 * 16 + 3, 12);
    const std::vector<double> rates = entry.at("rates");
    ASSERT_EQ(rates.size(), options.per_epoch ? 12u : 60u);
    for (int64_t step = 0; step < 60; ++step) {
      const double expected = rates[static_cast<size_t>(options.per_epoch ? step / 5 : step)];
      EXPECT_NEAR(schedule.at(place(step, 5 * 16 + 3, 16)), expected, 1e-14)
          << entry.at("name") << " step " << step;
    }
  }
}

// The step's rate is that of the place in the epochs before the cool-down.
TEST(LrSchedule, StaysAtItsLastRateWhileItCoolsDown) {
  for (const auto kind : {ScheduleKind::kStep, ScheduleKind::kCosine, ScheduleKind::kPolynomial,
                          ScheduleKind::kOneCycle}) {
    ScheduleOptions options = cosine(1);
    options.kind = kind;
    options.min_lr = 0.01;
    options.milestones = {2, 5};
    const LrSchedule whole(rate(0.1, 8), options, 8, 80, 4);
    options.cooldown_epochs = 2;
    const LrSchedule cooled(rate(0.1, 8), options, 8, 80, 6);
    for (int64_t step = 0; step < 40; ++step) {
      EXPECT_EQ(cooled.at(place(step, 80, 8)), whole.at(place(step, 80, 8)));
    }
    for (int64_t step = 40; step < 60; ++step) {
      EXPECT_NEAR(cooled.at(place(step, 80, 8)), 0.01, 1e-15);
    }
  }
}

// A floor that is above the rate is no floor.
TEST(LrSchedule, IsNeverAboveTheEffectiveRate) {
  for (const auto kind :
       {ScheduleKind::kCosine, ScheduleKind::kPolynomial, ScheduleKind::kOneCycle}) {
    ScheduleOptions options = cosine(1);
    options.kind = kind;
    options.min_lr = 1;
    const LrSchedule schedule(rate(0.1, 8), options, 8, 80, 4);
    for (int64_t step = 0; step < 40; ++step) {
      EXPECT_LE(schedule.at(place(step, 80, 8)), 0.1 * (1 + 1e-12));
    }
  }
}

// Nothing but the place counts: two runs that meet there go on with the same rates.
class EachSchedule : public testing::TestWithParam<ScheduleKind> {};
INSTANTIATE_TEST_SUITE_P(LrSchedule, EachSchedule,
                         testing::Values(ScheduleKind::kStep, ScheduleKind::kCosine,
                                         ScheduleKind::kPolynomial, ScheduleKind::kOneCycle));

TEST_P(EachSchedule, IsAFunctionOfThePlace) {
  RunConfig config;
  config.run.epochs = 4;
  ScheduleOptions options = cosine(1);
  options.kind = GetParam();
  const LrSchedule schedule(rate(0.1, 256), options, 24, 320, 4);
  const Course small(config, 320, 8, false), large(config, 320, 24, false);
  Progress by_small, by_large;
  for (int i = 0; i < 6; ++i) small.advance(by_small);
  for (int i = 0; i < 2; ++i) large.advance(by_large);
  ASSERT_EQ(by_small.position, by_large.position);
  while (!large.finished(by_large)) {
    EXPECT_EQ(schedule.at(by_small.position), schedule.at(by_large.position));
    large.advance(by_small);
    large.advance(by_large);
  }
  EXPECT_EQ(by_small.step, by_large.step + 4);
}

// A batch that changes in the middle of an epoch makes no jump but the one of linear scaling.
TEST_P(EachSchedule, ChangesByLinearScalingAloneWhereTheBatchChanges) {
  ScheduleOptions options = cosine(0);
  options.kind = GetParam();
  options.milestones = {4};
  for (int64_t images = 8; images < 320; images += 8) {
    const Position here{2, images};
    const LrSchedule before(rate(0.1, 8), options, 8, 320, 6);
    const LrSchedule now(rate(0.1, 8), options, 24, 320, 6);
    EXPECT_NEAR(now.at(here) / now.effective_lr(), before.at(here) / before.effective_lr(), 0.03);
  }
}

}  // namespace
}  // namespace resnext
