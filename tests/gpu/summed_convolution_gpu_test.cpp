// Convolutions that take BN's sums with cuDNN's engines, against float64 on the CPU. Every engine
// that cuDNN offers is judged, not only the one that a trial would choose.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/cudnn/Handle.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "model/convolution/cudnn_graph.h"
#include "model/convolution/summed_convolution.h"
#include "model/norm/fused_norm.h"
#include "tests/gpu/gpu_test.h"
#include "worker/device/gpu.h"

namespace resnext {
namespace {

using cudnn::Fusion;
using cudnn::Problem;

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

class SummedConvolutionGpu : public test::GpuTest {};

at::Tensor over_pixels(const at::Tensor& x) {
  return x.sum(at::IntArrayRef({0, 2, 3}));
}

at::Tensor of_channel(const at::Tensor& c) {
  return c.view({1, -1, 1, 1});
}

// float64 on the CPU, with values that bfloat16 (of channels: float32) holds.
struct Data {
  at::Tensor input, weight, gradient, mean, inverse, gamma, beta;

  explicit Data(const Problem& p) {
    const auto generator = at::detail::createCPUGenerator(23);
    const auto f64 = at::TensorOptions().dtype(at::kDouble);
    const auto images = [&](std::vector<int64_t> sizes, double scale) {
      return at::randn(sizes, generator, f64).mul(scale).to(at::kBFloat16).to(at::kDouble);
    };
    const auto channels = [&](double least) {
      return at::rand({p.channels}, generator, f64).add(least).to(at::kFloat).to(at::kDouble);
    };
    input = images({p.images, p.channels, p.height, p.width}, 1);
    weight = images({p.outputs, p.channels / p.groups, p.kernel, p.kernel}, 0.1);
    gradient = images({p.images, p.outputs, p.out(p.height), p.out(p.width)}, 1);
    mean = channels(-0.5);
    inverse = channels(0.5);
    gamma = channels(0.5);
    beta = channels(-0.5);
  }
};

struct Result {
  at::Tensor values, sums;
};

Result reference(Fusion fusion, const Problem& p, const Data& d) {
  if (fusion == Fusion::kOutputSums) {
    const at::Tensor y = at::conv2d(d.input, d.weight, {}, {p.stride, p.stride},
                                    {p.padding, p.padding}, at::IntArrayRef({1, 1}), p.groups);
    return {y, at::stack({over_pixels(y), over_pixels(y * y)})};
  }
  const auto made = at::convolution_backward(
      d.gradient, d.input, d.weight, std::nullopt, {p.stride, p.stride}, {p.padding, p.padding},
      {1, 1}, false, {0, 0}, p.groups, std::array<bool, 3>{true, false, false});
  const at::Tensor centred = d.input - of_channel(d.mean);
  const at::Tensor before = centred * of_channel(d.inverse * d.gamma) + of_channel(d.beta);
  const at::Tensor g = std::get<0>(made) * before.gt(0);
  return {g, at::stack({over_pixels(g), over_pixels(g * centred)})};
}

// Twice into the same memory: an engine that adds to what is there would be found.
Result run(const cudnn::Plan& plan, const Result& exact, const Data& d, at::Device gpu) {
  const auto images = [&](const at::Tensor& t) {
    return t.to(gpu, at::kBFloat16).contiguous(kLast);
  };
  const auto channels = [&](const at::Tensor& t) { return t.to(gpu, at::kFloat); };
  const at::Tensor input = images(d.input), weight = images(d.weight),
                   gradient = images(d.gradient);
  const at::Tensor mean = channels(d.mean), inverse = channels(d.inverse);
  const at::Tensor gamma = channels(d.gamma), beta = channels(d.beta);
  const Result made{images(exact.values).zero_(), channels(exact.sums).zero_()};
  const at::Tensor workspace =
      at::empty({plan.workspace_bytes()}, made.sums.options().dtype(at::kByte));
  const cudnn::Tensors tensors{input.const_data_ptr(),         weight.const_data_ptr(),
                               gradient.const_data_ptr(),      input.const_data_ptr(),
                               mean.const_data_ptr(),          inverse.const_data_ptr(),
                               gamma.const_data_ptr(),         beta.const_data_ptr(),
                               made.values.mutable_data_ptr(), made.sums[0].mutable_data_ptr(),
                               made.sums[1].mutable_data_ptr()};
  for (int i = 0; i < 2; ++i) {
    plan.run(at::native::getCudnnHandle(), tensors, workspace.mutable_data_ptr());
  }
  return made;
}

double difference(const at::Tensor& ours, const at::Tensor& exact) {
  return (ours.cpu().to(at::kDouble) - exact).abs().max().item<double>() /
         exact.abs().max().item<double>();
}

TEST_F(SummedConvolutionGpu, EnginesEqualFloat64) {
  for (const auto& [fusion, p] : std::vector<std::pair<Fusion, Problem>>{
           {Fusion::kOutputSums, {CUDNN_DATA_BFLOAT16, 4, 64, 14, 14, 256, 1, 1, 0, 1}},
           {Fusion::kOutputSums, {CUDNN_DATA_BFLOAT16, 4, 256, 14, 14, 128, 1, 2, 0, 1}},
           {Fusion::kOutputSums, {CUDNN_DATA_BFLOAT16, 2, 512, 15, 15, 512, 3, 2, 1, 32}},
           {Fusion::kGradientSums, {CUDNN_DATA_BFLOAT16, 4, 64, 14, 14, 256, 1, 1, 0, 1}}}) {
    const auto plans = cudnn::make_plans(at::native::getCudnnHandle(), fusion, p, 3);
    if (plans.empty()) std::printf("no engine for %ld -> %ld\n", p.channels, p.outputs);
    const Data data(p);
    const Result exact = reference(fusion, p, data);
    for (const auto& plan : plans) {
      const Result made = run(*plan, exact, data, gpu());
      EXPECT_LE(difference(made.values, exact.values), 0.004);  // half a unit of 8 bits
      for (const int64_t row : {0, 1}) {
        EXPECT_LE(difference(made.sums[row], exact.sums[row]), 0.004) << "sums " << row;
      }
    }
  }
}

// A convolution, its norm with the ReLU, and the 1x1 convolution that reads that: gradients of all.
struct Chain {
  at::Tensor input, first, second, gradient;
  NormParameters norm;

  explicit Chain(at::Device gpu) {
    const auto generator = at::detail::createCPUGenerator(5);
    const auto images = [&](std::vector<int64_t> sizes) {
      return at::randn(sizes, generator).to(gpu, at::kBFloat16).contiguous(kLast);
    };
    input = images({8, 64, 28, 28}).set_requires_grad(true);
    first = images({64, 64, 1, 1}).set_requires_grad(true);
    second = images({256, 64, 1, 1}).set_requires_grad(true);
    gradient = images({8, 256, 28, 28});
    norm.weight = at::rand({64}, generator).add(0.5).to(gpu).set_requires_grad(true);
    norm.bias = at::rand({64}, generator).to(gpu).set_requires_grad(true);
  }

  std::vector<at::Tensor> gradients(const std::shared_ptr<ConvolutionKernels>& kernels) const {
    const std::vector<at::Tensor> leaves = {input, first, second, norm.weight, norm.bias};
    for (const at::Tensor& leaf : leaves) leaf.mutable_grad() = at::Tensor();
    if (kernels) {
      NormNeighbours beside;
      beside.reader = c10::make_intrusive<NormReader>();
      const Summed x = convolve_summed(input, first, {}, kernels, true, {});
      beside.sums = x.sums;
      const at::Tensor y = fused_norm(x.values, {}, norm, true, true, beside);
      convolve_summed(y, second, {}, kernels, false, beside.reader).values.backward(gradient);
    } else {
      const at::Tensor y = fused_norm(convolve(input, first, {}), {}, norm, true, true);
      convolve(y, second, {}).backward(gradient);
    }
    std::vector<at::Tensor> made;
    for (const at::Tensor& leaf : leaves) made.push_back(leaf.grad());
    return made;
  }
};

// Whatever the trials chose.
TEST_F(SummedConvolutionGpu, GradientsAreThoseOfSeparateOperations) {
  const Chain chain(gpu());
  const auto kernels = device_convolution_kernels();
  const auto plain = chain.gradients(nullptr);
  const auto summed = chain.gradients(kernels);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_LE(difference(summed[i], plain[i].cpu().to(at::kDouble)), 0.02) << "tensor " << i;
  }
}

// With what the trials chose before.
TEST_F(SummedConvolutionGpu, CanBeRecordedInAGraph) {
  const Chain chain(gpu());
  const auto kernels = device_convolution_kernels();
  const auto eager = chain.gradients(kernels);
  std::vector<at::Tensor> recorded;
  const auto graph = make_gpu_graph(make_gpu_memory_pool());
  graph->capture([&] { recorded = chain.gradients(kernels); });
  graph->replay();
  for (size_t i = 0; i < eager.size(); ++i) {
    EXPECT_LE(difference(recorded[i], eager[i].cpu().to(at::kDouble)), 0.02) << "tensor " << i;
  }
}

}  // namespace
}  // namespace resnext
