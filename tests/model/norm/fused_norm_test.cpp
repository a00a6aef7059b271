// SPDX-License-Identifier: BSD-3-Clause
#include "model/norm/fused_norm.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

// One thread, unless a test asks for more: others on the machine slow several down by far.
class FusedNorm : public testing::Test {
 protected:
  FusedNorm() { at::set_num_threads(1); }
  ~FusedNorm() override { at::set_num_threads(before_); }

 private:
  int before_ = at::get_num_threads();
};

// What the layer does behind the normalisation, in which mode, on which shape.
struct Case {
  std::vector<int64_t> sizes;
  bool add = false, relu = true, training = true;
};

// Shapes: fewer channels than lanes, not a multiple of them, a single pixel, several pieces of
// work; and more than kCacheBytes.
std::vector<Case> all_cases(std::vector<int64_t> beyond_caches) {
  std::vector<Case> cases = {{beyond_caches, false}, {beyond_caches, true}};
  for (const auto& sizes : std::vector<std::vector<int64_t>>{{2, 1, 3, 3},
                                                             {2, 3, 5, 4},
                                                             {3, 17, 6, 7},
                                                             {1, 64, 1, 2},
                                                             {2, 130, 9, 9},
                                                             {8, 64, 30, 31}}) {
    for (const bool add : {false, true}) {
      for (const bool relu : {false, true}) {
        for (const bool training : {false, true}) cases.push_back({sizes, add, relu, training});
      }
    }
  }
  return cases;
}

struct Tensors {
  at::Tensor x, residual, gradient;
  NormParameters norm;

  // An own copy in `dtype`, whose x, residual, weight and bias require gradients.
  Tensors in(at::ScalarType dtype) const {
    const auto leaf = [&](const at::Tensor& t) {
      return t.detach().to(dtype, false, /*copy=*/true).set_requires_grad(true);
    };
    const auto plain = [&](const at::Tensor& t) { return t.to(dtype, false, /*copy=*/true); };
    return {leaf(x),
            leaf(residual),
            plain(gradient),
            {leaf(norm.weight), leaf(norm.bias), plain(norm.running_mean), plain(norm.running_var),
             norm.momentum, norm.eps}};
  }
  std::vector<at::Tensor> gradients(bool add) const {
    std::vector<at::Tensor> all = {x.grad(), norm.weight.grad(), norm.bias.grad()};
    if (add) all.push_back(residual.grad());
    return all;
  }
};

// float64; scales of both signs and one zero.
Tensors random_tensors(const std::vector<int64_t>& sizes, double mean = 0.3, double deviation = 2) {
  const auto generator = at::detail::createCPUGenerator(17);
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  const auto images = [&] { return at::randn(sizes, generator, f64).contiguous(kLast); };
  Tensors t{images().mul(deviation).add(mean), images(), images(), {}};
  t.norm.weight = at::randn({sizes[1]}, generator, f64);
  t.norm.weight[0] = 0;
  t.norm.bias = at::randn({sizes[1]}, generator, f64);
  t.norm.running_mean = at::randn({sizes[1]}, generator, f64);
  t.norm.running_var = at::rand({sizes[1]}, generator, f64).add(0.5);
  return t;
}

at::Tensor reference(const Tensors& t, const Case& c) {
  at::Tensor y = at::batch_norm(t.x, t.norm.weight, t.norm.bias, t.norm.running_mean,
                                t.norm.running_var, c.training, t.norm.momentum, t.norm.eps, false);
  if (c.add) y = y.add(t.residual);
  return c.relu ? y.relu() : y;
}

at::Tensor fused(const Tensors& t, const Case& c) {
  const at::Tensor residual = c.add ? t.residual : at::Tensor();
  EXPECT_TRUE(can_fuse_norm(t.x, residual, t.norm));
  return fused_norm(t.x, residual, t.norm, c.training, c.relu);
}

// Largest difference, relative to the reference's largest value.
double difference(const at::Tensor& ours, const at::Tensor& theirs) {
  const at::Tensor exact = theirs.to(at::kDouble);
  const double scale = std::max(exact.abs().max().item<double>(), 1e-30);
  return ours.to(at::kDouble).sub(exact).abs().max().item<double>() / scale;
}

void expect_equal(const Tensors& ours, const Tensors& exact, const Case& c, double bar) {
  const at::Tensor y = fused(ours, c), expected = reference(exact, c);
  EXPECT_TRUE(y.is_contiguous(kLast));
  EXPECT_LE(difference(y, expected), bar);
  EXPECT_LE(difference(ours.norm.running_mean, exact.norm.running_mean), bar);
  EXPECT_LE(difference(ours.norm.running_var, exact.norm.running_var), bar);
  y.backward(ours.gradient);
  expected.backward(exact.gradient);
  const auto a = ours.gradients(c.add), b = exact.gradients(c.add);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_LE(difference(a[i], b[i]), bar) << "gradient " << i;
}

TEST_F(FusedNorm, EqualsTheSeparateOperationsInFloat64) {
  for (const Case& c : all_cases({4, 40, 120, 110})) {
    SCOPED_TRACE(testing::PrintToString(c.sizes) + (c.add ? " add" : "") + (c.relu ? " relu" : "") +
                 (c.training ? " training" : ""));
    const Tensors t = random_tensors(c.sizes);
    expect_equal(t.in(at::kDouble), t.in(at::kDouble), c, 1e-12);
  }
}

// Values that a ReLU in float32 and one in float64 would judge differently are moved away from 0.
TEST_F(FusedNorm, EqualsFloat64InFloat32) {
  for (const Case& c : all_cases({4, 64, 130, 129})) {
    SCOPED_TRACE(testing::PrintToString(c.sizes) + (c.add ? " add" : "") + (c.relu ? " relu" : "") +
                 (c.training ? " training" : ""));
    Tensors t = random_tensors(c.sizes).in(at::kFloat);
    const at::Tensor near = reference(t.in(at::kDouble), {c.sizes, c.add, false, c.training})
                                .abs()
                                .lt(1e-4)
                                .to(at::kFloat);
    t.gradient.mul_(near.mul(-1).add(1));
    expect_equal(t.in(at::kFloat), t.in(at::kDouble), c, 1e-5);
  }
}

// A mean 10^4 deviations away leaves float32 with 10 bits of a value; nothing more may be lost.
TEST_F(FusedNorm, AMeanFarFromZeroCostsNoAccuracy) {
  for (const bool relu : {false, true}) {
    const Case c{{4, 24, 20, 20}, false, relu, true};
    Tensors t = random_tensors(c.sizes, 1e3, 0.1).in(at::kFloat);
    const at::Tensor near =
        reference(t.in(at::kDouble), {c.sizes, false, false, true}).abs().lt(1e-4).to(at::kFloat);
    t.gradient.mul_(near.mul(-1).add(1));
    expect_equal(t.in(at::kFloat), t.in(at::kDouble), c, 1e-5);
  }
}

TEST_F(FusedNorm, WithoutRunningStatisticsItIsTheSameFunction) {
  const Case c{{3, 17, 6, 7}, true, true, true};
  const Tensors t = random_tensors(c.sizes), with = t.in(at::kFloat);
  Tensors without = t.in(at::kFloat);
  without.norm.running_mean = without.norm.running_var = at::Tensor();
  const at::Tensor y = fused(without, c), expected = fused(with, c);
  EXPECT_TRUE(y.equal(expected));
  y.backward(without.gradient);
  expected.backward(with.gradient);
  const auto a = without.gradients(true), b = with.gradients(true);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].equal(b[i])) << i;
}

TEST_F(FusedNorm, OnePixelHasNoVariance) {
  const Case c{{1, 5, 1, 1}, false, true, true};
  const Tensors t = random_tensors(c.sizes), ours = t.in(at::kDouble), theirs = t.in(at::kDouble);
  EXPECT_LE(difference(fused(ours, c), t.norm.bias.relu().view({1, 5, 1, 1})), 1e-12);
  reference(theirs, c);
  EXPECT_TRUE(at::allclose(ours.norm.running_mean, theirs.norm.running_mean, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(ours.norm.running_var, theirs.norm.running_var, 1e-12, 1e-12, true));
}

std::vector<at::Tensor> everything(const Tensors& from, const Case& c) {
  const Tensors t = from.in(at::kFloat);
  const at::Tensor y = fused(t, c);
  y.backward(t.gradient);
  std::vector<at::Tensor> all = t.gradients(c.add);
  all.insert(all.end(), {y.detach(), t.norm.running_mean, t.norm.running_var});
  return all;
}

TEST_F(FusedNorm, GivesTheSameBitsForAnyNumberOfThreads) {
  for (const bool add : {false, true}) {
    const Case c{{8, 72, 31, 29}, add, true, true};
    const Tensors t = random_tensors(c.sizes);
    at::set_num_threads(1);
    const auto one = everything(t, c);
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      const auto many = everything(t, c);
      for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(many[i])) << i;
    }
  }
}

// Central differences of a weighted sum, for every element of `input`.
at::Tensor numerical_gradient(const Tensors& t, const Case& c, at::Tensor input) {
  constexpr double kStep = 1e-5;
  const at::NoGradGuard guard;
  at::Tensor gradient = at::empty_like(input);
  const auto loss = [&] { return fused(t, c).mul(t.gradient).sum().item<double>(); };
  auto* value = input.mutable_data_ptr<double>();
  for (int64_t i = 0; i < input.numel(); ++i) {
    const double kept = value[i];
    value[i] = kept + kStep;
    const double above = loss();
    value[i] = kept - kStep;
    gradient.mutable_data_ptr<double>()[i] = (above - loss()) / (2 * kStep);
    value[i] = kept;
  }
  return gradient;
}

TEST_F(FusedNorm, GradientsAreTheFiniteDifferences) {
  for (const bool add : {false, true}) {
    for (const bool training : {false, true}) {
      const Case c{{2, 3, 4, 3}, add, true, training};
      const Tensors t = random_tensors(c.sizes).in(at::kDouble);
      fused(t, c).backward(t.gradient);
      std::vector<at::Tensor> inputs = {t.x, t.norm.weight, t.norm.bias};
      if (add) inputs.push_back(t.residual);
      const auto gradients = t.gradients(add);
      for (size_t i = 0; i < inputs.size(); ++i) {
        EXPECT_LE(difference(gradients[i], numerical_gradient(t, c, inputs[i].detach())), 1e-7);
      }
    }
  }
}

TEST_F(FusedNorm, NotANumberStaysOne) {
  const Case c{{2, 16, 3, 3}, false, true, true};
  Tensors t = random_tensors(c.sizes);
  t.x.select(0, 0).select(0, 3).fill_(std::numeric_limits<double>::quiet_NaN());
  const at::Tensor y = fused(t.in(at::kFloat), c).detach();
  EXPECT_TRUE(y.select(1, 3).isnan().all().item<bool>());
  EXPECT_FALSE(y.select(1, 4).isnan().any().item<bool>());
}

TEST_F(FusedNorm, LeavesOtherLayoutsAndTypesToTheSeparateOperations) {
  const Tensors t = random_tensors({2, 4, 3, 3});
  const at::Tensor none;
  EXPECT_TRUE(can_fuse_norm(t.x, t.residual, t.norm));
  EXPECT_FALSE(can_fuse_norm(t.x.contiguous(), none, t.norm));
  EXPECT_FALSE(can_fuse_norm(t.x.to(at::kBFloat16), none, t.norm));
  EXPECT_FALSE(can_fuse_norm(t.x.to(at::kFloat), none, t.norm));  // parameters of another type
  EXPECT_FALSE(can_fuse_norm(t.x, t.residual.contiguous(), t.norm));
  EXPECT_FALSE(can_fuse_norm(t.x, t.residual.slice(0, 0, 1), t.norm));
  EXPECT_FALSE(can_fuse_norm(t.x.slice(0, 0, 0), none, t.norm));
}

// Two readers of the output, whose gradients autograd adds in the reference.
void expect_equal_pair(const Tensors& ours, const Tensors& exact, const Case& c, double bar) {
  const at::Tensor residual = c.add ? ours.residual : at::Tensor();
  const auto outputs = fused_norm_pair(ours.x, residual, ours.norm, c.training, c.relu);
  const at::Tensor expected = reference(exact, c);
  EXPECT_TRUE(outputs[0].equal(outputs[1]));
  EXPECT_EQ(outputs[0].data_ptr(), outputs[1].data_ptr());
  EXPECT_LE(difference(outputs[0], expected), bar);
  const auto other = [](const Tensors& t) { return t.gradient.flip({0, 1}).mul(0.7); };
  torch::autograd::backward({outputs[0], outputs[1]}, {ours.gradient, other(ours).contiguous()});
  torch::autograd::backward({expected, expected}, {exact.gradient, other(exact)});
  const auto a = ours.gradients(c.add), b = exact.gradients(c.add);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_LE(difference(a[i], b[i]), bar) << "gradient " << i;
}

TEST_F(FusedNorm, TheGradientsOfTwoReadersAreAdded) {
  for (const Case& c : all_cases({2, 24, 20, 20})) {
    SCOPED_TRACE(testing::PrintToString(c.sizes) + (c.add ? " add" : "") + (c.relu ? " relu" : "") +
                 (c.training ? " training" : ""));
    const Tensors t = random_tensors(c.sizes);
    expect_equal_pair(t.in(at::kDouble), t.in(at::kDouble), c, 1e-12);
    Tensors narrow = t.in(at::kFloat);
    const at::Tensor near =
        reference(narrow.in(at::kDouble), {c.sizes, c.add, false, c.training}).abs().lt(1e-4);
    narrow.gradient.masked_fill_(near.logical_or(near.flip({0, 1})), 0);
    expect_equal_pair(narrow.in(at::kFloat), narrow.in(at::kDouble), c, 1e-5);
  }
}

// As when a reader needs no gradient.
TEST_F(FusedNorm, OneOfTwoReadersMayGiveNoGradient) {
  const Case c{{3, 17, 6, 7}, true, true, true};
  const Tensors t = random_tensors(c.sizes), once = t.in(at::kDouble);
  fused(once, c).backward(t.gradient);
  for (const size_t reader : {0, 1}) {
    const Tensors pair = t.in(at::kDouble);
    fused_norm_pair(pair.x, pair.residual, pair.norm, true, true)[reader].backward(t.gradient);
    const auto a = pair.gradients(true), b = once.gradients(true);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].equal(b[i])) << i;
  }
}

TEST_F(FusedNorm, RefusesASecondDerivative) {
  const Case c{{2, 4, 3, 3}, false, true, true};
  const Tensors t = random_tensors(c.sizes).in(at::kDouble);
  const at::Tensor y = fused(t, c).sum();
  EXPECT_THROW(torch::autograd::grad({y}, {t.x}, {}, true, /*create_graph=*/true), Error);
}

}  // namespace
}  // namespace resnext
