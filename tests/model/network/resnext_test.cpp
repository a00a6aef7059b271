// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/resnext.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "comm/common/error.h"
#include "tests/model/network/networks.h"

namespace resnext {
namespace {

using test::cifar;
using test::imagenet;

int64_t count(ResNeXt& model) {
  int64_t elements = 0;
  for (const at::Tensor& p : model.parameters()) elements += p.numel();
  return elements;
}

struct Row {
  ModelOptions options;
  int64_t parameters;
  size_t tensors;
};

// The published counts (arXiv 1611.05431 and torchvision), computed layer by layer.
TEST(ResNeXt, HasThePublishedNumberOfParameters) {
  const std::vector<Row> rows = {
      {imagenet(50, 1, 64), 25'557'032, 161},  {imagenet(50, 2, 40), 25'425'000, 161},
      {imagenet(50, 4, 24), 25'292'968, 161},  {imagenet(50, 8, 14), 25'603'016, 161},
      {imagenet(50, 32, 4), 25'028'904, 161},  {imagenet(101, 1, 64), 44'549'160, 314},
      {imagenet(101, 2, 40), 44'456'296, 314}, {imagenet(101, 4, 24), 44'363'432, 314},
      {imagenet(101, 8, 14), 45'104'328, 314}, {imagenet(101, 32, 4), 44'177'704, 314},
      {imagenet(101, 32, 8), 88'791'336, 314}, {imagenet(101, 64, 4), 83'455'272, 314},
      {imagenet(152, 32, 4), 59'951'400, 467}, {imagenet(152, 64, 4), 114'971'944, 467},
      {cifar(29, 8, 64), 34'426'698, 95},      {cifar(29, 16, 64), 68'155'210, 95},
  };
  for (const Row& row : rows) {
    ResNeXt model(row.options, 1);
    EXPECT_EQ(count(model), row.parameters) << row.options.depth << " " << row.options.cardinality;
    EXPECT_EQ(model.parameters().size(), row.tensors);
  }
}

TEST(ResNeXt, FormBHasAsManyParametersAsFormC) {
  ModelOptions options = imagenet(50, 32, 4);
  options.block = Block::kB;
  ResNeXt model(options, 1);
  EXPECT_EQ(count(model), 25'028'904);
}

TEST(ResNeXt, HasTorchvisionsNamesAndShapes) {
  ResNeXt model(imagenet(50, 32, 4), 1);
  const StateDict state = model.state_dict();
  EXPECT_EQ(state.size(), 320U);
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, tensor] : state) shapes[name] = tensor.sizes().vec();
  EXPECT_EQ(shapes.at("conv1.weight"), (std::vector<int64_t>{64, 3, 7, 7}));
  EXPECT_EQ(shapes.at("layer1.0.conv1.weight"), (std::vector<int64_t>{128, 64, 1, 1}));
  EXPECT_EQ(shapes.at("layer1.0.conv2.weight"), (std::vector<int64_t>{128, 4, 3, 3}));
  EXPECT_EQ(shapes.at("layer1.0.conv3.weight"), (std::vector<int64_t>{256, 128, 1, 1}));
  EXPECT_EQ(shapes.at("layer1.0.downsample.0.weight"), (std::vector<int64_t>{256, 64, 1, 1}));
  EXPECT_EQ(shapes.at("layer4.0.downsample.1.running_var"), (std::vector<int64_t>{2048}));
  EXPECT_EQ(shapes.at("layer4.2.bn3.num_batches_tracked"), (std::vector<int64_t>{}));
  EXPECT_EQ(shapes.at("fc.bias"), (std::vector<int64_t>{1000}));
  EXPECT_EQ(shapes.count("layer1.1.downsample.0.weight"), 0U);
  EXPECT_EQ(state.front().first, "conv1.weight");
  EXPECT_EQ(state.back().first, "fc.bias");
}

// Form B's separate paths, stacked, are form C's grouped convolutions.
StateDict as_form_c(const StateDict& b, int64_t cardinality) {
  std::map<std::string, std::vector<at::Tensor>> parts;
  StateDict c;
  for (const auto& [name, tensor] : b) {
    const size_t at = name.find(".paths.");
    if (at == std::string::npos) {
      c.emplace_back(name, tensor);
      continue;
    }
    const std::string merged = name.substr(0, at) + name.substr(name.find('.', at + 7));
    auto& list = parts[merged];
    list.push_back(tensor);
    if (static_cast<int64_t>(list.size()) == cardinality) {
      c.emplace_back(merged, tensor.dim() == 0 ? tensor : at::cat(list, 0));
    }
  }
  return c;
}

TEST(ResNeXt, FormsBAndCAreTheSameFunctionWithMappedWeights) {
  ModelOptions options = cifar(20, 4, 16);
  options.stem.width = 16;
  ModelOptions form_b = options;
  form_b.block = Block::kB;
  ResNeXt b(form_b, 7), c(options, 8);
  for (ResNeXt* model : {&b, &c}) model->to(at::kCPU, at::kDouble, true);
  const auto generator = at::detail::createCPUGenerator(1);
  for (auto& [name, tensor] : b.state_dict()) {  // statistics and scales that are not trivial
    if (tensor.dim() == 1) tensor.uniform_(0.5, 1.5, generator);
  }
  c.load(as_form_c(b.state_dict(), 4), "form B");
  const at::Tensor x = at::randn({3, 3, 16, 16}, generator, at::TensorOptions().dtype(at::kDouble));
  for (Mode mode : {Mode::kEvaluate, Mode::kTrain}) {
    EXPECT_TRUE(at::allclose(b.forward(x, mode), c.forward(x, mode), 1e-10, 1e-12));
  }
}

TEST(ResNeXt, OneGroupOf64IsThePlainResidualBlock) {
  ModelOptions plain = cifar(20, 1, 64);
  plain.block = Block::kResnet;
  plain.cardinality = 9;  // without effect
  ResNeXt a(plain, 3), b(cifar(20, 1, 64), 3);
  const at::Tensor x = at::randn({2, 3, 8, 8});
  EXPECT_TRUE(a.forward(x, Mode::kEvaluate).equal(b.forward(x, Mode::kEvaluate)));
}

// Shortcut A adds no parameter, C one projection a block.
TEST(ResNeXt, ShortcutsDifferInTheirProjections) {
  for (auto [shortcut, projections] :
       {std::pair{Shortcut::kA, 0}, {Shortcut::kB, 3}, {Shortcut::kC, 6}}) {
    ModelOptions options = cifar(20, 2, 16);
    options.shortcut = shortcut;
    ResNeXt model(options, 1);
    int found = 0;
    for (const std::string& name : model.parameter_names()) {
      found += name.ends_with("downsample.0.weight");
    }
    EXPECT_EQ(found, projections);
    EXPECT_EQ(model.forward(at::randn({2, 3, 9, 9}), Mode::kTrain).sizes(),
              (at::IntArrayRef{2, 10}));
  }
}

// With every convolution at zero, a block with shortcut A passes every other pixel and zeros.
TEST(ResNeXt, ShortcutASubsamplesAndPadsWithZeros) {
  ModelOptions options = cifar(11, 1, 64);
  options.shortcut = Shortcut::kA;
  options.stem.width = 2;
  options.zero_gamma = true;
  const NetworkPlan plan = plan_network(options);
  const LayerGraph graph(plan.layers, options.fused, at::detail::createCPUGenerator(1));
  const at::Tensor x = at::rand({1, 8, 5, 5});
  const at::Tensor y = graph.run(plan.stages[1], x, Mode::kEvaluate);  // one block
  EXPECT_EQ(y.sizes(), (at::IntArrayRef{1, 16, 3, 3}));
  EXPECT_TRUE(y.slice(1, 0, 8).equal(x.slice(2, 0, std::nullopt, 2).slice(3, 0, std::nullopt, 2)));
  EXPECT_EQ(y.slice(1, 8, 16).abs().max().item<float>(), 0);
}

// fb.resnet.torch: N(0, sqrt(2 / (k k out))) for all groups together; U(+-1/sqrt(in)), zero bias.
TEST(ResNeXt, IsInitialisedAsTheSeed) {
  ResNeXt model(imagenet(50, 32, 4), 1);
  for (const auto& [name, t] : model.state_dict()) {
    if (t.dim() == 4) {
      const double expected =
          std::sqrt(2.0 / static_cast<double>(t.size(2) * t.size(3) * t.size(0)));
      const double n = static_cast<double>(t.numel());
      EXPECT_NEAR(t.std().item<double>() / expected, 1, 4 / std::sqrt(2 * n)) << name;
      EXPECT_NEAR(t.mean().item<double>() / expected, 0, 5 / std::sqrt(n)) << name;
    } else if (name == "fc.weight") {
      EXPECT_NEAR(t.max().item<double>(), 1 / std::sqrt(2048.0), 1e-6);
      EXPECT_NEAR(t.min().item<double>(), -1 / std::sqrt(2048.0), 1e-6);
    } else if (name.ends_with("weight") || name.ends_with("running_var")) {
      EXPECT_TRUE(t.eq(1).all().item<bool>()) << name;
    } else {
      EXPECT_TRUE(t.eq(0).all().item<bool>()) << name;
    }
  }
}

TEST(ResNeXt, TheSeedDecidesTheWeights) {
  ResNeXt a(cifar(11, 2, 16), 5), b(cifar(11, 2, 16), 5), c(cifar(11, 2, 16), 6);
  EXPECT_TRUE(a.parameters()[0].equal(b.parameters()[0]));
  EXPECT_FALSE(a.parameters()[0].equal(c.parameters()[0]));
}

// Blocks then start as their shortcut alone.
TEST(ResNeXt, ZeroGammaSilencesTheLastNormOfEachBlock) {
  ModelOptions options = cifar(11, 2, 16);
  options.zero_gamma = true;
  ResNeXt model(options, 1);
  for (const auto& [name, t] : model.state_dict()) {
    if (!name.ends_with("bn3.weight") && !name.ends_with("bn2.weight")) continue;
    EXPECT_TRUE(t.eq(name.ends_with("bn3.weight") ? 0 : 1).all().item<bool>()) << name;
  }
}

TEST(ResNeXt, ChannelsLastIsTheSameFunctionAndStaysSo) {
  ResNeXt model(cifar(11, 2, 16), 1);
  const at::Tensor x = at::randn({2, 3, 16, 16});
  const at::Tensor before = model.forward(x, Mode::kEvaluate);
  model.to(at::kCPU, at::kFloat, true);
  const at::Tensor after =
      model.forward(x.contiguous(at::MemoryFormat::ChannelsLast), Mode::kEvaluate);
  EXPECT_TRUE(at::allclose(before, after, 1e-4, 1e-5));
  for (const at::Tensor& p : model.parameters()) {
    EXPECT_TRUE(p.dim() != 4 || p.is_contiguous(at::MemoryFormat::ChannelsLast));
  }
}

TEST(ResNeXt, TrainingMovesTheStatisticsAndEvaluationDoesNot) {
  ResNeXt model(cifar(11, 2, 16), 1);
  const at::Tensor before = model.statistics()[0].clone();
  model.forward(at::randn({4, 3, 8, 8}), Mode::kEvaluate);
  EXPECT_TRUE(model.statistics()[0].equal(before));
  model.forward(at::randn({4, 3, 8, 8}), Mode::kTrain);
  EXPECT_FALSE(model.statistics()[0].equal(before));
}

TEST(ResNeXt, BatchesAreCountedWhenAskedOnly) {
  ResNeXt model(cifar(11, 2, 16), 1);
  const auto expect = [&](int64_t batches) {
    int64_t counters = 0;
    for (const auto& [name, t] : model.state_dict()) {
      if (!name.ends_with("num_batches_tracked")) continue;
      EXPECT_EQ(t.item<int64_t>(), batches) << name;
      ++counters;
    }
    EXPECT_EQ(counters, 1 + 3 * 4);  // the stem's, and four a block with its projection
  };
  model.forward(at::randn({4, 3, 8, 8}), Mode::kTrain);
  expect(0);
  model.count_batches(3);
  model.count_batches(2);
  expect(5);
}

TEST(ResNeXt, CannotRecomputeMoreStagesThanItHas) {
  ModelOptions options = cifar(11, 2, 16);
  options.recompute_stages = 3;
  EXPECT_NO_THROW(ResNeXt(options, 1));
  for (const int64_t stages : {-1, 4}) {
    options.recompute_stages = stages;
    EXPECT_THROW(ResNeXt(options, 1), ConfigError);
  }
}

std::string load_error(ResNeXt& model, const StateDict& state) {
  try {
    model.load(state, "some.pt");
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

TEST(ResNeXt, RefusesAStateDictThatDoesNotFitAndNamesTheTensor) {
  ResNeXt model(cifar(11, 2, 16), 1), other(cifar(11, 4, 16), 1), deeper(cifar(20, 2, 16), 1);
  EXPECT_NE(load_error(model, other.state_dict()).find("layer1.0.conv1.weight has shape"),
            std::string::npos);
  EXPECT_NE(load_error(model, deeper.state_dict()).find("layer1.1."), std::string::npos);
  EXPECT_NE(load_error(deeper, model.state_dict()).find("has no tensor layer1.1.conv1.weight"),
            std::string::npos);
  EXPECT_EQ(load_error(model, model.state_dict()), "");
}

TEST(ResNeXt, KeepsANewClassifierWhenAsked) {
  ModelOptions ten = cifar(11, 2, 16), seven = ten;
  seven.classes = 7;
  ResNeXt source(ten, 1), model(seven, 2);
  const at::Tensor classifier = model.state_dict().back().second.clone();
  model.load(source.state_dict(), "some.pt", /*skip_classifier=*/true);
  EXPECT_TRUE(model.parameters()[0].equal(source.parameters()[0]));
  EXPECT_TRUE(model.state_dict().back().second.equal(classifier));
}

TEST(ResNeXt, NeedsTheNumberOfClasses) {
  ModelOptions options = cifar(11, 2, 16);
  options.classes = 0;
  EXPECT_THROW(ResNeXt(options, 1), ConfigError);
}

}  // namespace
}  // namespace resnext
