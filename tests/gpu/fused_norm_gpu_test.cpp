// The fused normalisation layers on a GPU against float64 on the CPU, with LibTorch's own
// operators.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "model/network/layers.h"
#include "model/norm/fused_norm.h"
#include "tests/gpu/gpu_test.h"
#include "worker/device/gpu.h"

namespace resnext {
namespace {

constexpr auto kLast = at::MemoryFormat::ChannelsLast;
const at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16, at::kHalf};

class FusedNormGpu : public test::GpuTest {};

struct Case {
  std::vector<int64_t> sizes;
  bool add = false, relu = true;
  Mode mode = Mode::kTrain;

  std::string text() const {
    return testing::PrintToString(sizes) + (add ? " add" : "") + (relu ? " relu" : "") + " mode " +
           std::to_string(static_cast<int>(mode));
  }
};

// Channels: odd, multiples of 4 and of 8, more than a block has threads; rows: less and more than
// one chunk of the sums.
std::vector<Case> all_cases() {
  std::vector<Case> cases = {{{16, 64, 56, 57}, false}, {{16, 64, 56, 57}, true}};
  for (const auto& sizes : std::vector<std::vector<int64_t>>{{2, 1, 3, 3},
                                                             {2, 3, 5, 4},
                                                             {3, 17, 6, 7},
                                                             {1, 64, 1, 2},
                                                             {2, 20, 7, 9},
                                                             {2, 130, 9, 9},
                                                             {4, 136, 15, 14},
                                                             {2, 520, 20, 21}}) {
    for (const bool add : {false, true}) {
      for (const bool relu : {false, true}) {
        for (const Mode mode : {Mode::kTrain, Mode::kEvaluate, Mode::kRecompute}) {
          cases.push_back({sizes, add, relu, mode});
        }
      }
    }
  }
  return cases;
}

struct Tensors {
  at::Tensor x, residual, gradient;
  NormParameters norm;

  // An own copy: activations of `type`, parameters of float32 or, with float64, of that. x,
  // residual, weight and bias require gradients.
  Tensors on(at::Device device, at::ScalarType type) const {
    const auto copy = [&](const at::Tensor& t, at::ScalarType to) {
      return t.detach().to(device, to, /*non_blocking=*/false, /*copy=*/true);
    };
    const auto of_norm = type == at::kDouble ? at::kDouble : at::kFloat;
    const auto leaf = [&](const at::Tensor& t, at::ScalarType to) {
      return copy(t, to).set_requires_grad(true);
    };
    return {leaf(x, type),
            leaf(residual, type),
            copy(gradient, type),
            {leaf(norm.weight, of_norm), leaf(norm.bias, of_norm), copy(norm.running_mean, of_norm),
             copy(norm.running_var, of_norm), norm.momentum, norm.eps}};
  }
};

// float64 on the CPU, but with values that `type` (parameters: float32) holds exactly.
Tensors random_tensors(const std::vector<int64_t>& sizes, at::ScalarType type, double mean = 0.3,
                       double deviation = 2) {
  const auto generator = at::detail::createCPUGenerator(17);
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  const auto exact = [](const at::Tensor& t, at::ScalarType in) {
    return t.to(in).to(at::kDouble).contiguous(t.suggest_memory_format());
  };
  const auto images = [&](double shift, double scale) {
    return exact(at::randn(sizes, generator, f64).mul(scale).add(shift).contiguous(kLast), type);
  };
  Tensors t{images(mean, deviation), images(0, 1), images(0, 1), {}};
  t.norm.weight = exact(at::randn({sizes[1]}, generator, f64), at::kFloat);
  t.norm.weight[0] = 0;
  t.norm.bias = exact(at::randn({sizes[1]}, generator, f64), at::kFloat);
  t.norm.running_mean = exact(at::randn({sizes[1]}, generator, f64), at::kFloat);
  t.norm.running_var = exact(at::rand({sizes[1]}, generator, f64).add(0.5), at::kFloat);
  return t;
}

NormParameters parameters_of(const Tensors& t, const Case& c) {
  NormParameters norm = t.norm;
  if (c.mode == Mode::kRecompute) norm.running_mean = norm.running_var = at::Tensor();
  return norm;
}

at::Tensor reference(const Tensors& t, const Case& c) {
  const NormParameters norm = parameters_of(t, c);
  at::Tensor y = at::batch_norm(t.x, norm.weight, norm.bias, norm.running_mean, norm.running_var,
                                c.mode != Mode::kEvaluate, norm.momentum, norm.eps, false);
  if (c.add) y = y.add(t.residual);
  return c.relu ? y.relu() : y;
}

at::Tensor fused(const Tensors& t, const Case& c) {
  const at::Tensor residual = c.add ? t.residual : at::Tensor();
  const NormParameters norm = parameters_of(t, c);
  EXPECT_TRUE(can_fuse_norm(t.x, residual, norm));
  return fused_norm(t.x, residual, norm, c.mode != Mode::kEvaluate, c.relu);
}

// The mean of what two readers read: each gives back half of the gradient, exactly.
at::Tensor fused_for_two(const Tensors& t, const Case& c) {
  const at::Tensor residual = c.add ? t.residual : at::Tensor();
  const bool training = c.mode != Mode::kEvaluate;
  const auto y = fused_norm_pair(t.x, residual, parameters_of(t, c), training, c.relu);
  return y[0].mul(0.5).add(y[1].mul(0.5));
}

// Where the ReLU's argument is so near to 0 that float32 may judge it differently, nothing comes
// back.
void clear_gradients_near_the_kink(Tensors& t, const Case& c) {
  const at::Tensor before = reference(t.on(at::kCPU, at::kDouble), {c.sizes, c.add, false, c.mode});
  t.gradient.mul_(before.abs().ge(1e-4).to(at::kDouble));
}

struct Value {
  const char* name;
  at::Tensor tensor;
  bool activation;  // of the activations' type
};

template <typename Function>
std::vector<Value> results(const Tensors& t, const Case& c, Function function) {
  const at::Tensor y = function(t, c);
  y.backward(t.gradient);
  std::vector<Value> all = {{"output", y.detach(), true},
                            {"gradient of x", t.x.grad(), true},
                            {"gradient of weight", t.norm.weight.grad(), false},
                            {"gradient of bias", t.norm.bias.grad(), false},
                            {"running mean", t.norm.running_mean, false},
                            {"running variance", t.norm.running_var, false}};
  if (c.add) all.push_back({"gradient of residual", t.residual.grad(), true});
  return all;
}

// Largest difference, relative to the reference's largest value.
double difference(const at::Tensor& ours, const at::Tensor& theirs) {
  const double scale = std::max(theirs.abs().max().item<double>(), 1e-30);
  return ours.cpu().to(at::kDouble).sub(theirs).abs().max().item<double>() / scale;
}

// Sums are float32; activations are rounded to their type (half a unit of 8, 11, 24 bits) besides.
double tolerance(const Value& value, at::ScalarType type) {
  if (!value.activation || type == at::kFloat) return 2e-5;
  return type == at::kBFloat16 ? 0.004 : 0.0006;
}

void expect_float64s(const Tensors& t, const Case& c, at::ScalarType type, at::Device gpu,
                     at::Tensor (*function)(const Tensors&, const Case&) = fused) {
  const auto ours = results(t.on(gpu, type), c, function);
  const auto exact = results(t.on(at::kCPU, at::kDouble), c, reference);
  EXPECT_TRUE(ours[0].tensor.is_contiguous(kLast));
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_LE(difference(ours[i].tensor, exact[i].tensor), tolerance(ours[i], type))
        << ours[i].name;
    EXPECT_EQ(ours[i].tensor.scalar_type(), ours[i].activation ? type : at::kFloat) << ours[i].name;
  }
}

TEST_F(FusedNormGpu, EqualsFloat64) {
  for (const at::ScalarType type : kTypes) {
    for (const Case& c : all_cases()) {
      SCOPED_TRACE(std::string(c10::toString(type)) + " " + c.text());
      Tensors t = random_tensors(c.sizes, type);
      clear_gradients_near_the_kink(t, c);
      expect_float64s(t, c, type, gpu());
      expect_float64s(t, c, type, gpu(), fused_for_two);
    }
  }
}

// A mean 10^4 deviations away leaves float32 with 10 bits of a value; nothing more may be lost.
TEST_F(FusedNormGpu, AMeanFarFromZeroCostsNoAccuracy) {
  for (const bool relu : {false, true}) {
    const Case c{{4, 24, 20, 20}, false, relu, Mode::kTrain};
    Tensors t = random_tensors(c.sizes, at::kFloat, 1e3, 0.1);
    clear_gradients_near_the_kink(t, c);
    expect_float64s(t, c, at::kFloat, gpu());
  }
}

TEST_F(FusedNormGpu, GivesTheSameBitsEachTime) {
  for (const at::ScalarType type : kTypes) {
    for (const bool add : {false, true}) {
      const Case c{{16, 72, 31, 29}, add, true, Mode::kTrain};
      const Tensors t = random_tensors(c.sizes, type);
      const auto once = results(t.on(gpu(), type), c, fused);
      const auto again = results(t.on(gpu(), type), c, fused);
      for (size_t i = 0; i < once.size(); ++i) {
        EXPECT_TRUE(once[i].tensor.equal(again[i].tensor)) << once[i].name;
      }
    }
  }
}

TEST_F(FusedNormGpu, ASecondRunGivesTheBitsOfTheFirstAndMovesNothing) {
  Case c{{3, 24, 6, 7}, true, true, Mode::kTrain};
  const Tensors t = random_tensors(c.sizes, at::kBFloat16);
  const auto first = results(t.on(gpu(), at::kBFloat16), c, fused);
  c.mode = Mode::kRecompute;
  const auto second = results(t.on(gpu(), at::kBFloat16), c, fused);
  for (size_t i = 0; i < first.size(); ++i) {
    const bool running = std::string(first[i].name).starts_with("running");
    EXPECT_EQ(first[i].tensor.equal(second[i].tensor), !running) << first[i].name;
  }
}

// float32 inputs that keep clear of the ReLU's kink: channels that are all on, or all off.
Tensors well_scaled(const Case& c) {
  Tensors t = random_tensors(c.sizes, at::kFloat, 0, 1);
  t.residual.mul_(0.5);
  t.norm.weight.abs_().clamp_(0.5, 1);
  for (int64_t i = 0; i < c.sizes[1]; ++i) t.norm.bias[i] = i % 2 == 0 ? 8 : -8;
  return t;
}

// Central differences of a weighted sum, for every element of `input`.
at::Tensor numerical_gradient(const Tensors& t, const Case& c, at::Tensor input) {
  constexpr float kStep = 1e-2F;
  const at::NoGradGuard guard;
  const at::Tensor host = input.cpu();
  at::Tensor gradient = at::empty_like(host);
  const auto loss = [&] {
    input.copy_(host);
    return fused(t, c).to(at::kDouble).mul(t.gradient).sum().item<double>();
  };
  auto* value = host.mutable_data_ptr<float>();
  for (int64_t i = 0; i < host.numel(); ++i) {
    const float kept = value[i];
    value[i] = kept + kStep;
    const double above = loss();
    value[i] = kept - kStep;
    gradient.mutable_data_ptr<float>()[i] = static_cast<float>((above - loss()) / (2 * kStep));
    value[i] = kept;
  }
  input.copy_(host);
  return gradient.to(at::kDouble);
}

TEST_F(FusedNormGpu, GradientsAreTheFiniteDifferences) {
  for (const bool add : {false, true}) {
    for (const Mode mode : {Mode::kEvaluate, Mode::kRecompute}) {  // those that move no statistics
      const Case c{{2, 3, 4, 3}, add, true, mode};
      const Tensors t = well_scaled(c).on(gpu(), at::kFloat);
      fused(t, c).backward(t.gradient);
      std::vector<at::Tensor> inputs = {t.x, t.norm.weight, t.norm.bias};
      if (add) inputs.push_back(t.residual);
      for (size_t i = 0; i < inputs.size(); ++i) {
        const at::Tensor numbers = numerical_gradient(t, c, inputs[i].detach());
        EXPECT_LE(difference(inputs[i].grad(), numbers), 2e-3) << c.text() << ", input " << i;
      }
    }
  }
}

TEST_F(FusedNormGpu, NotANumberStaysOne) {
  const Case c{{2, 16, 3, 3}, false, true, Mode::kTrain};
  Tensors t = random_tensors(c.sizes, at::kHalf);
  t.x.select(0, 0).select(0, 3).fill_(std::numeric_limits<double>::quiet_NaN());
  const at::Tensor y = fused(t.on(gpu(), at::kHalf), c).detach().cpu();
  EXPECT_TRUE(y.select(1, 3).isnan().all().item<bool>());
  EXPECT_FALSE(y.select(1, 4).isnan().any().item<bool>());
}

TEST_F(FusedNormGpu, NeverWaitsForTheDevice) {
  const Case c{{2, 16, 5, 5}, true, true, Mode::kTrain};
  const Tensors t = random_tensors(c.sizes, at::kBFloat16).on(gpu(), at::kBFloat16);
  const ForbidSynchronisation forbid;
  EXPECT_NO_THROW(fused(t, c).backward(t.gradient));
}

TEST_F(FusedNormGpu, LeavesOtherLayoutsAndTypesToTheSeparateOperations) {
  const Tensors t = random_tensors({2, 8, 3, 3}, at::kHalf).on(gpu(), at::kHalf);
  const at::Tensor none;
  EXPECT_TRUE(can_fuse_norm(t.x, t.residual, t.norm));
  EXPECT_FALSE(can_fuse_norm(t.x.contiguous(), none, t.norm));
  EXPECT_FALSE(can_fuse_norm(t.x.to(at::kDouble), none, t.norm));
  EXPECT_FALSE(can_fuse_norm(t.x, t.residual.to(at::kFloat), t.norm));
  NormParameters half = t.norm;
  half.weight = half.weight.to(at::kHalf);
  EXPECT_FALSE(can_fuse_norm(t.x, none, half));
}

}  // namespace
}  // namespace resnext
