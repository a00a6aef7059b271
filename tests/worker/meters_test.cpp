// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/meters.h"

#include <gtest/gtest.h>

#include <cmath>

namespace resnext {
namespace {

TEST(Meters, AverageTheLossSinceTheLastReset) {
  Meters meters;
  meters.add_loss(1);
  meters.add_loss(2);
  EXPECT_EQ(meters.steps(), 2);
  EXPECT_EQ(meters.mean_loss(), 1.5);
  meters.reset();
  EXPECT_EQ(meters.steps(), 0);
  EXPECT_TRUE(std::isnan(meters.mean_loss()));
}

TEST(Meters, ContinueSumsOfACheckpoint) {
  Meters meters;
  meters.restore(3, 6);
  meters.add_loss(2);
  EXPECT_EQ(meters.mean_loss(), 2);
  EXPECT_EQ(meters.loss_sum(), 8);
}

TEST(Meters, PhasesAddUpToTheStep) {
  Meters meters;
  for (int step = 0; step < 5; ++step) {
    meters.begin_step();
    for (int p = 0; p < kPhases; ++p) meters.end_phase(static_cast<Phase>(p));
    meters.add_loss(0);
  }
  double sum = 0;
  for (int p = 0; p < kPhases; ++p) {
    EXPECT_GE(meters.mean_ms(static_cast<Phase>(p)), 0);
    sum += meters.mean_ms(static_cast<Phase>(p));
  }
  EXPECT_NEAR(meters.mean_step_ms(), sum, 1e-9);
}

}  // namespace
}  // namespace resnext
