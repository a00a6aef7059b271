// Sums taken on a convolution's way: the network with them against the network without, in float64.
// The kernels are LibTorch's operators here, by the formulas that a GPU's follow.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/summed_convolution.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>

#include "comm/common/error.h"
#include "model/network/resnext.h"
#include "model/norm/fused_norm.h"
#include "tests/model/network/networks.h"

namespace resnext {
namespace {

at::Tensor over_pixels(const at::Tensor& x) {
  return x.sum(at::IntArrayRef({0, 2, 3}));
}

at::Tensor of_channel(const at::Tensor& c) {
  return c.view({1, -1, 1, 1});
}

// Plain operators; declines what it is told to.
class Reference : public ConvolutionKernels {
 public:
  bool takes_output = true, takes_gradient = true;
  int outputs = 0, gradients = 0;  // so many were asked for
  double error = 0;                // relative, of the sums

  std::optional<Summed> forward(const at::Tensor& input, const at::Tensor& weight,
                                ConvolutionShape shape) override {
    ++outputs;
    if (!takes_output) return std::nullopt;
    const at::Tensor y = convolve(input, weight, shape);
    return Summed{y, at::stack({over_pixels(y), over_pixels(y * y)}).mul(1 + error)};
  }

  std::optional<Summed> input_gradient(const at::Tensor& gradient, const at::Tensor& weight,
                                       ConvolutionShape shape, const NormSaved& before) override {
    ++gradients;
    if (!takes_gradient) return std::nullopt;
    const auto made = at::convolution_backward(
        gradient, before.x, weight, std::nullopt, {shape.stride, shape.stride},
        {shape.padding, shape.padding}, {1, 1}, false, {0, 0}, shape.groups,
        std::array<bool, 3>{true, false, false});
    const at::Tensor centred = before.x - of_channel(before.statistics[0]);
    const at::Tensor output =
        centred * of_channel(before.statistics[1] * before.weight) + of_channel(before.bias);
    const at::Tensor g = std::get<0>(made) * output.gt(0);
    return Summed{g, at::stack({over_pixels(g), over_pixels(g * centred)}).mul(1 + error)};
  }
};

ModelOptions small(Block block = Block::kC) {
  ModelOptions options = test::cifar(20, 4, 8);
  options.stem.width = 8;
  options.block = block;
  return options;
}

struct Result {
  at::Tensor output;
  std::vector<at::Tensor> gradients, statistics;
};

Result train(
    ModelOptions options, const std::shared_ptr<ConvolutionKernels>& kernels,
    const std::function<void(ResNeXt&)>& change = [](ResNeXt&) {}) {
  ResNeXt network(options, 3);
  network.to(at::kCPU, at::kDouble, true);
  const auto generator = at::detail::createCPUGenerator(5);
  for (auto& [name, tensor] : network.state_dict()) {  // scales and offsets that are not trivial
    if (tensor.dim() == 1) tensor.uniform_(0.5, 1.5, generator);
  }
  network.take_sums_with(kernels);
  change(network);
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor x =
      at::randn({3, 3, 12, 12}, generator, f64).contiguous(at::MemoryFormat::ChannelsLast);
  Result result;
  result.output = network.forward(x, Mode::kTrain);
  result.output.backward(at::randn(result.output.sizes(), generator, f64));
  for (const at::Tensor& p : network.trained_parameters()) result.gradients.push_back(p.grad());
  result.statistics = network.statistics();
  return result;
}

double difference(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double scale = std::max(b[i].abs().max().item<double>(), 1e-3);
    largest = std::max(largest, (a[i] - b[i]).abs().max().item<double>() / scale);
  }
  return largest;
}

double difference(const Result& a, const Result& b) {
  return std::max({difference(std::vector{a.output}, std::vector{b.output}),
                   difference(a.gradients, b.gradients), difference(a.statistics, b.statistics)});
}

TEST(SummedConvolution, TheNetworkIsTheSameInFloat64) {
  for (const Block block : {Block::kC, Block::kB}) {
    const Result plain = train(small(block), nullptr);
    for (const auto& [output, gradient] : {std::pair{true, true}, {true, false}, {false, true}}) {
      const auto kernels = std::make_shared<Reference>();
      kernels->takes_output = output;
      kernels->takes_gradient = gradient;
      EXPECT_LE(difference(train(small(block), kernels), plain), 1e-11) << output << gradient;
      EXPECT_GT(kernels->outputs, 0);
      EXPECT_GT(kernels->gradients, 0);
    }
  }
}

// Of each block all three norms take sums in forward, and two in backward, as the plan says; the
// stem's and the projections' in forward.
TEST(SummedConvolution, IsAskedForWhatThePlanSays) {
  const auto kernels = std::make_shared<Reference>();
  train(small(), kernels);
  EXPECT_EQ(kernels->outputs, 1 + 6 * 3 + 3);
  EXPECT_EQ(kernels->gradients, 6 * 2);
}

// Else the first test would pass with sums that nobody reads.
TEST(SummedConvolution, TheSumsAreWhatNormsUse) {
  const Result plain = train(small(), nullptr);
  for (const bool of_output : {true, false}) {
    const auto kernels = std::make_shared<Reference>();
    kernels->takes_output = of_output;
    kernels->takes_gradient = !of_output;
    kernels->error = 1e-3;
    EXPECT_GT(difference(train(small(), kernels), plain), 1e-6) << of_output;
  }
}

TEST(SummedConvolution, AlsoWhereStagesRunAgainBlocksAreLeftOutOrFrozen) {
  ModelOptions again = small(), deep = small(), frozen = small();
  again.recompute_stages = 2;
  deep.stochastic_depth = 0.5;
  frozen.freeze = 1;
  for (const ModelOptions& options : {again, deep, frozen}) {
    const auto draw = [](ResNeXt& network) { network.draw_depth(7, 0); };
    const Result plain = train(options, nullptr, draw);
    EXPECT_LE(difference(train(options, std::make_shared<Reference>(), draw), plain), 1e-11);
  }
}

// Evaluation, norms over several ranks and networks without fused layers take no sums.
TEST(SummedConvolution, IsNotAskedWhereNormsTakeNoSums) {
  const auto kernels = std::make_shared<Reference>();
  ModelOptions options = small();
  options.fused = false;
  train(options, kernels);
  ResNeXt network(small(), 3);
  network.take_sums_with(kernels);
  network.forward(at::randn({1, 3, 12, 12}), Mode::kEvaluate);
  EXPECT_EQ(kernels->outputs + kernels->gradients, 0);
}

// A norm whose output something else reads after all gets a gradient that the sums are not of; and
// what the convolution kept of it is free as soon as it was used.
TEST(SummedConvolution, SumsOfAnotherGradientAreLeft) {
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  const auto gradients = [&](const std::shared_ptr<ConvolutionKernels>& kernels) {
    const auto generator = at::detail::createCPUGenerator(1);
    const auto leaf = [&](std::vector<int64_t> sizes) {
      return at::randn(sizes, generator, f64).set_requires_grad(true);
    };
    const at::Tensor x = at::randn({2, 4, 5, 5}, generator, f64)
                             .contiguous(at::MemoryFormat::ChannelsLast)
                             .set_requires_grad(true);
    const NormParameters norm{leaf({4}), leaf({4}), {}, {}};
    const at::Tensor weight = leaf({8, 4, 1, 1});
    NormNeighbours beside;
    if (kernels) beside.reader = c10::make_intrusive<NormReader>();
    const at::Tensor y = fused_norm(x, {}, norm, /*training=*/true, /*relu=*/true, beside);
    const at::Tensor z = kernels
                             ? convolve_summed(y, weight, {}, kernels, false, beside.reader).values
                             : convolve(y, weight, {});
    z.pow(2).sum().add(y.pow(3).sum()).backward();
    EXPECT_FALSE(kernels && beside.reader->norm.x.defined());
    return std::vector{x.grad(), norm.weight.grad(), norm.bias.grad(), weight.grad()};
  };
  EXPECT_LE(difference(gradients(std::make_shared<Reference>()), gradients(nullptr)), 1e-12);
}

TEST(SummedConvolution, HasNoSecondDerivative) {
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor x = at::randn({1, 4, 5, 5}, f64), weight = at::randn({8, 2, 3, 3}, f64);
  weight.set_requires_grad(true);
  const Summed y = convolve_summed(x, weight, {1, 1, 2}, std::make_shared<Reference>(), true, {});
  EXPECT_FALSE(y.sums.requires_grad());
  EXPECT_THROW(y.values.sum().backward({}, true, /*create_graph=*/true), Error);
}

}  // namespace
}  // namespace resnext
