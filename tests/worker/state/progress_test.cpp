// Where a run stands, to the bit, also as the first format version wrote it.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/progress.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

namespace resnext {
namespace {

using Json = nlohmann::ordered_json;

constexpr SampleOrder kOrder{0xfedcba9876543210, Shuffle::kBlock, 3};

Progress some() {
  Progress p;
  p.step = 123;
  p.position = {3, 4567, kOrder};
  p.world_size = 5;
  p.global_batch = 40;
  p.epochs = 90;
  p.effective_lr = 0.1 + 0.2;
  p.validation_due = true;
  p.bucket_order = {2, 0, 1};
  p.meter_steps = 7;
  p.meter_loss_sum = 1.0 / 3;
  p.skipped = 11;
  p.skipped_in_a_row = 4;
  p.loss_scale = 32768;
  p.loss_scale_steps = 99;
  return p;
}

TEST(Progress, ComesBackToTheBit) {
  const Json text = Json::parse(to_json(some()).dump());
  const Progress p = to_progress(text);
  EXPECT_EQ(p.step, 123);
  EXPECT_EQ(p.position, (Position{3, 4567, kOrder}));
  EXPECT_EQ(p.world_size, 5);
  EXPECT_EQ(p.global_batch, 40);
  EXPECT_EQ(p.epochs, 90);
  EXPECT_EQ(p.effective_lr, 0.1 + 0.2);
  EXPECT_TRUE(p.validation_due);
  EXPECT_EQ(p.bucket_order, (std::vector<int64_t>{2, 0, 1}));
  EXPECT_EQ(p.meter_steps, 7);
  EXPECT_EQ(p.meter_loss_sum, 1.0 / 3);
  EXPECT_EQ(p.skipped, 11);
  EXPECT_EQ(p.skipped_in_a_row, 4);
  EXPECT_EQ(p.loss_scale, 32768);
  EXPECT_EQ(p.loss_scale_steps, 99);
}

TEST(Progress, AnyFiniteSumComesBackToTheBit) {
  for (const double sum : {5e-324, 1.7976931348623157e308, -0.0, 2.2250738585072014e-308, 0.1}) {
    Progress p = some();
    p.meter_loss_sum = sum;
    const double back = to_progress(Json::parse(to_json(p).dump())).meter_loss_sum;
    EXPECT_EQ(std::memcmp(&back, &sum, sizeof sum), 0) << sum;
  }
}

// What the first release wrote.
constexpr const char* kVersion1 = R"({
  "step": 61, "epoch": 3, "epoch_step": 1, "global_batch": 16, "best_top1": 50.0, "best_step": 40,
  "meter_steps": 1, "meter_loss_sum": 0.25, "bucket_order": [1, 0]})";

TEST(Progress, ReadsPlacesThatWereCountedInSteps) {
  const Progress p = to_progress(Json::parse(kVersion1));
  EXPECT_EQ(p.step, 61);
  EXPECT_EQ(p.position, (Position{3, 16}));
  EXPECT_EQ(p.meter_loss_sum, 0.25);
  EXPECT_EQ(p.meter_steps, 1);
  EXPECT_EQ(p.loss_scale, 1);
  EXPECT_FALSE(p.validation_due);
}

TEST(Progress, ASumThatWasNotFiniteCountsForNothing) {
  Json json = Json::parse(kVersion1);
  json["meter_loss_sum"] = nullptr;
  const Progress p = to_progress(json);
  EXPECT_EQ(p.meter_loss_sum, 0);
  EXPECT_EQ(p.meter_steps, 0);
  EXPECT_EQ(p.step, 61);
}

TEST(Progress, RefusesWhatLacksAPlace) {
  for (const char* name : {"step", "epoch", "epoch_step", "global_batch", "bucket_order"}) {
    Json json = Json::parse(kVersion1);
    json.erase(name);
    EXPECT_THROW(to_progress(json), nlohmann::json::exception) << name;
  }
}

TEST(Changes, NamesBothFigures) {
  Progress now = some();
  EXPECT_EQ(changes(some(), now, kOrder), "");
  now.world_size = 3;
  now.global_batch = 24;
  now.epochs = 100;
  now.effective_lr = 0.25;
  EXPECT_EQ(changes(some(), now, kOrder),
            "ranks 5 -> 3, global batch 40 -> 24, run.epochs 90 -> 100, "
            "effective learning rate 0.3 -> 0.25");
  EXPECT_EQ(changes(some(), some(), {8}), "the images' order from the next epoch on");
}

// The first release did not say how many ranks there were.
TEST(Changes, SaysNothingOfWhatIsNotKnown) {
  const Progress before = to_progress(Json::parse(kVersion1));
  Progress now = before;
  now.world_size = 3;
  now.epochs = 5;
  now.effective_lr = 0.1;
  EXPECT_EQ(changes(before, now, {}), "");
}

}  // namespace
}  // namespace resnext
