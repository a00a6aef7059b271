// SPDX-License-Identifier: BSD-3-Clause
#include "worker/device/torch_set_up.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace resnext {
namespace {

TEST(TorchSetUp, LetsCudnnTryAllItsAlgorithms) {
  set_up_torch(/*deterministic=*/false, 2);
  EXPECT_EQ(at::get_num_threads(), 2);
  EXPECT_TRUE(at::globalContext().benchmarkCuDNN());
  EXPECT_EQ(at::globalContext().benchmarkLimitCuDNN(), 0);  // no limit
  EXPECT_FALSE(at::globalContext().deterministicCuDNN());
}

}  // namespace
}  // namespace resnext
