// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/precision.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <tuple>

namespace resnext {
namespace {

PrecisionOptions compute(Compute compute) {
  PrecisionOptions options;
  options.compute = compute;
  return options;
}

TEST(Precision, KeepsParametersInFloat32UnlessAllIsFloat64) {
  for (auto [kind, parameters, activations] : {std::tuple{Compute::kFp32, at::kFloat, at::kFloat},
                                               {Compute::kTf32, at::kFloat, at::kFloat},
                                               {Compute::kBf16, at::kFloat, at::kBFloat16},
                                               {Compute::kFp16, at::kFloat, at::kHalf},
                                               {Compute::kFp64, at::kDouble, at::kDouble}}) {
    const Precision precision(compute(kind), at::kCPU);
    EXPECT_EQ(precision.parameter_type(), parameters);
    EXPECT_EQ(precision.compute_type(), activations);
    EXPECT_EQ(precision.scales_loss(), kind == Compute::kFp16);
  }
}

TEST(Precision, TheReducedTypeLastsAsLongAsItsScope) {
  const Precision precision(compute(Compute::kBf16), at::kCPU);
  const at::Tensor x = at::ones({2, 3}), w = at::ones({4, 3});
  {
    const Precision::Scope scope(precision);
    EXPECT_EQ(at::linear(x, w).scalar_type(), at::kBFloat16);
  }
  EXPECT_EQ(at::linear(x, w).scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace resnext
