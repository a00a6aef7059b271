// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/loss_scaler.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <limits>

namespace resnext {
namespace {

double value(const at::Tensor& t) {
  return t.item<double>();
}

TEST(LossScaler, ScalesTheLossAndUnscalesGradients) {
  const LossScaler scaler(true, at::kCPU);
  EXPECT_EQ(value(scaler.scaled(at::full({}, 2.0F))), 2 * LossScaler::kFirstScale);
  const at::Tensor a = at::full({3}, 65536.0F), b = at::full({2}, 3 * 65536.0F);
  at::Tensor skip = at::full({}, 0.0F);
  scaler.unscale({a, b}, skip);
  EXPECT_TRUE(a.eq(1).all().item<bool>());
  EXPECT_TRUE(b.eq(3).all().item<bool>());
  EXPECT_EQ(value(skip), 0);
}

TEST(LossScaler, OneGradientThatIsNotFiniteSkipsTheStep) {
  for (float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const LossScaler scaler(true, at::kCPU);
    const at::Tensor a = at::full({3}, 1.0F), b = at::full({2}, 1.0F);
    b[1].fill_(bad);
    at::Tensor skip = at::full({}, 0.0F);
    scaler.unscale({a, b}, skip);
    EXPECT_EQ(value(skip), 1);
  }
}

TEST(LossScaler, KeepsTheSkipOfALossThatWasNotFinite) {
  const LossScaler scaler(true, at::kCPU);
  at::Tensor skip = at::full({}, 1.0F);
  scaler.unscale({at::full({3}, 1.0F)}, skip);
  EXPECT_EQ(value(skip), 1);
}

TEST(LossScaler, HalvesAfterAnOverflowAndDoublesAfter2000CleanSteps) {
  LossScaler scaler(true, at::kCPU);
  const at::Tensor clean = at::full({}, 0.0F), overflow = at::full({}, 1.0F);
  scaler.update(clean);
  scaler.update(overflow);
  EXPECT_EQ(value(scaler.scale()), 32768);
  EXPECT_EQ(scaler.clean_steps(), 0);
  for (int step = 0; step < 1999; ++step) scaler.update(clean);
  EXPECT_EQ(value(scaler.scale()), 32768);
  EXPECT_EQ(scaler.clean_steps(), 1999);
  scaler.update(clean);
  EXPECT_EQ(value(scaler.scale()), 65536);
  LossScaler continued(true, at::kCPU);
  continued.restore(32768, 1999);
  continued.update(clean);
  EXPECT_EQ(value(continued.scale()), 65536);
}

TEST(LossScaler, DoesNothingUnlessEnabled) {
  LossScaler scaler(false, at::kCPU);
  const at::Tensor loss = at::full({}, 2.0), gradient = at::full({2}, 5.0);
  at::Tensor skip = at::full({}, 0.0F);
  EXPECT_TRUE(scaler.scaled(loss).is_same(loss));
  scaler.unscale({gradient}, skip);
  scaler.update(at::full({}, 1.0F));
  scaler.restore(1024, 3);
  EXPECT_TRUE(gradient.eq(5).all().item<bool>());
  EXPECT_EQ(value(scaler.scale()), 1);
}

}  // namespace
}  // namespace resnext
