// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/pointwise_convolution.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "comm/common/error.h"
#include "model/convolution/convolution.h"

namespace resnext {
namespace {

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

at::Tensor random(at::IntArrayRef sizes, uint64_t seed) {
  return at::randn(sizes, at::detail::createCPUGenerator(seed)).contiguous(kLast);
}

double difference(const at::Tensor& ours, const at::Tensor& exact) {
  return (ours.to(at::kDouble).sub(exact).abs().max() / exact.abs().max()).item<double>();
}

struct Case {
  int64_t images, in, out, stride, height, width;
};

// Output and both gradients, in float32, against at::conv2d in float64.
TEST(PointwiseConvolution, EqualsConv2dInFloat64) {
  for (const Case& c : {Case{3, 6, 5, 1, 7, 4},
                        {2, 64, 48, 1, 9, 9},
                        {2, 20, 33, 2, 7, 7},
                        {2, 20, 33, 2, 8, 6},
                        {1, 1, 1, 1, 1, 1},
                        {2, 8, 16, 3, 7, 8}}) {
    const at::Tensor x = random({c.images, c.in, c.height, c.width}, 1).set_requires_grad(true);
    const at::Tensor w = random({c.out, c.in, 1, 1}, 2).set_requires_grad(true);
    const at::Tensor x64 = x.detach().to(at::kDouble).set_requires_grad(true);
    const at::Tensor w64 = w.detach().to(at::kDouble).set_requires_grad(true);
    const at::Tensor y = convolve_pointwise(x, w, c.stride);
    const at::Tensor exact = at::conv2d(x64, w64, {}, at::IntArrayRef({c.stride, c.stride}));
    ASSERT_EQ(y.sizes(), exact.sizes());
    EXPECT_TRUE(y.is_contiguous(kLast));
    EXPECT_LE(difference(y, exact), 1e-6);
    const at::Tensor g = random(y.sizes(), 3);
    y.backward(g);
    exact.backward(g.to(at::kDouble));
    EXPECT_LE(difference(x.grad(), x64.grad()), 1e-6);
    EXPECT_LE(difference(w.grad(), w64.grad()), 1e-6);
    EXPECT_TRUE(x.grad().is_contiguous(kLast));
  }
}

TEST(PointwiseConvolution, IsWhatConvolveUsesForFloat32) {
  const at::Tensor x = random({2, 6, 5, 5}, 1), w = random({4, 6, 1, 1}, 2);
  EXPECT_TRUE(convolve(x, w, {}).equal(convolve_pointwise(x, w, 1)));
}

TEST(PointwiseConvolution, LeavesAutocastItsType) {
  const at::Tensor x = random({2, 6, 5, 5}, 1), w = random({4, 6, 1, 1}, 2);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const at::Tensor y = convolve(x, w, {});
  at::autocast::set_autocast_enabled(at::kCPU, false);
  at::autocast::clear_cache();
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
}

TEST(PointwiseConvolution, RefusesASecondDerivative) {
  const at::Tensor x = random({2, 6, 5, 5}, 1).set_requires_grad(true), w = random({4, 6, 1, 1}, 2);
  const at::Tensor y = convolve_pointwise(x, w, 1).sum();
  EXPECT_THROW(torch::autograd::grad({y}, {x}, {}, true, /*create_graph=*/true), Error);
}

}  // namespace
}  // namespace resnext
