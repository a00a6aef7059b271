// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/convolution.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace resnext {
namespace {

struct Case {
  int64_t in, out, kernel, stride, padding, groups, side;
};

class Convolution : public testing::TestWithParam<Case> {};

// Output and both gradients, in float64, against at::conv2d.
TEST_P(Convolution, EqualsConv2d) {
  const Case c = GetParam();
  const auto generator = at::detail::createCPUGenerator(3);
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
    const at::Tensor x = at::randn({3, c.in, c.side, c.side}, generator, f64).contiguous(format);
    const at::Tensor w =
        at::randn({c.out, c.in / c.groups, c.kernel, c.kernel}, generator, f64).contiguous(format);
    at::Tensor x1 = x.clone().set_requires_grad(true), x2 = x.clone().set_requires_grad(true);
    at::Tensor w1 = w.clone().set_requires_grad(true), w2 = w.clone().set_requires_grad(true);
    const at::Tensor ours = convolve(x1, w1, {c.stride, c.padding, c.groups});
    const at::Tensor theirs = at::conv2d(x2, w2, {}, {c.stride, c.stride}, {c.padding, c.padding},
                                         at::IntArrayRef({1, 1}), c.groups);
    EXPECT_TRUE(at::allclose(ours, theirs, 1e-12, 1e-12));
    EXPECT_TRUE(ours.is_contiguous(format));
    const at::Tensor g = at::randn(ours.sizes(), generator, f64);
    ours.mul(g).sum().backward();
    theirs.mul(g).sum().backward();
    EXPECT_TRUE(at::allclose(x1.grad(), x2.grad(), 1e-12, 1e-12));
    EXPECT_TRUE(at::allclose(w1.grad(), w2.grad(), 1e-12, 1e-12));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Convolution,
                         testing::Values(Case{6, 5, 1, 1, 0, 1, 7}, Case{6, 5, 1, 2, 0, 1, 7},
                                         Case{6, 5, 1, 2, 0, 1, 8}, Case{6, 8, 3, 1, 1, 2, 7},
                                         Case{6, 6, 3, 2, 1, 3, 8}, Case{3, 4, 7, 2, 3, 1, 9},
                                         Case{4, 6, 1, 1, 0, 2, 5}));

}  // namespace
}  // namespace resnext
