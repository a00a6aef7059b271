// Squeeze-and-excitation against the formula, written with LibTorch's own operations.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <map>

#include "comm/common/error.h"
#include "model/network/cost.h"
#include "model/network/model_defaults.h"
#include "model/network/resnext.h"
#include "tests/model/network/networks.h"

namespace resnext {
namespace {

ModelOptions se_resnext(int64_t depth, int64_t cardinality, int64_t base_width) {
  ModelOptions options = test::imagenet(depth, cardinality, base_width);
  options.se_reduction = 16;
  return options;
}

// timm's published counts (its results tables: seresnext50_32x4d 27.56 M, seresnext101_32x4d
// 48.96 M, seresnext101_64x4d 88.23 M), and what a gate of c channels adds: 2 c c / 16 + c / 16 +
// c.
TEST(SeResNeXt, HasTimmsNumberOfParameters) {
  const auto parameters = [](const ModelOptions& options) {
    return model_cost(options, 224).parameters;
  };
  EXPECT_EQ(parameters(se_resnext(50, 32, 4)), 27'559'896);
  EXPECT_NEAR(parameters(se_resnext(101, 32, 4)), 48.96e6, 0.005e6);
  EXPECT_NEAR(parameters(se_resnext(101, 64, 4)), 88.23e6, 0.005e6);
  ModelOptions plain = se_resnext(152, 64, 4);
  plain.se_reduction = 0;
  const auto gate = [](int64_t c) { return 2 * c * c / 16 + c / 16 + c; };
  EXPECT_EQ(parameters(se_resnext(152, 64, 4)) - parameters(plain),
            3 * gate(256) + 8 * gate(512) + 36 * gate(1024) + 3 * gate(2048));
}

// Two products a gate, on one pixel; an image's pixels cost no multiply-adds that are counted.
TEST(SeResNeXt, CountsTheGatesMultiplyAdds) {
  ModelOptions plain = se_resnext(50, 32, 4);
  plain.se_reduction = 0;
  const auto gate = [](int64_t c) { return 2.0 * static_cast<double>(c * c) / 16; };
  const double gates = 3 * gate(256) + 4 * gate(512) + 6 * gate(1024) + 3 * gate(2048);
  EXPECT_NEAR(model_cost(se_resnext(50, 32, 4), 224).gmac - model_cost(plain, 224).gmac,
              gates / 1e9, 1e-9);
  EXPECT_GT(model_cost(se_resnext(50, 32, 4), 224).activation_bytes,
            model_cost(plain, 224).activation_bytes);
}

// timm's make_divisible: to the nearest multiple of 8, at least 8.
TEST(SeResNeXt, SqueezesToMultiplesOfEight) {
  const ModelOptions options = se_resnext(50, 32, 4);
  const std::pair<int64_t, int64_t> widths[] = {{2048, 128}, {256, 16}, {64, 8},  {16, 8},
                                                {190, 8},    {192, 16}, {448, 32}};
  for (const auto& [channels, squeezed] : widths) {
    EXPECT_EQ(squeezed_channels(options, channels), squeezed) << channels;
  }
  ModelOptions bad = options;
  bad.se_reduction = -1;
  EXPECT_THROW(plan_network(bad), ConfigError);
}

TEST(SeResNeXt, HasTimmsNames) {
  ModelOptions options = se_resnext(50, 4, 4);
  options.stem.width = 16;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : ResNeXt(options, 1).state_dict()) {
    if (name.find("layer1.0.se") == std::string::npos) continue;
    names.push_back(name);
    EXPECT_EQ(tensor.dim(), name.ends_with("weight") ? 4 : 1);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"layer1.0.se.fc1.weight", "layer1.0.se.fc1.bias",
                                             "layer1.0.se.fc2.weight", "layer1.0.se.fc2.bias"}));
}

// The evaluation's forward pass of a network with timm's names, by the published formulas.
class Reference {
 public:
  explicit Reference(const StateDict& state) : tensors_(state.begin(), state.end()) {}

  at::Tensor logits(const at::Tensor& images, int64_t groups) const {
    at::Tensor x = norm("bn1", conv("conv1", images, 2, 3, 1)).relu();
    x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
    for (int64_t stage = 1; stage <= 4; ++stage) {
      for (int64_t i = 0; has(name(stage, i) + "conv1"); ++i) {
        x = block(name(stage, i), x, stage > 1 && i == 0 ? 2 : 1, groups);
      }
    }
    return at::linear(x.mean({2, 3}), of("fc.weight"), of("fc.bias"));
  }

 private:
  static std::string name(int64_t stage, int64_t i) {
    return "layer" + std::to_string(stage) + "." + std::to_string(i) + ".";
  }
  bool has(const std::string& layer) const { return tensors_.contains(layer + ".weight"); }
  const at::Tensor& of(const std::string& tensor) const { return tensors_.at(tensor); }

  at::Tensor conv(const std::string& layer, const at::Tensor& x, int64_t stride, int64_t padding,
                  int64_t groups) const {
    const auto bias = tensors_.find(layer + ".bias");
    return at::conv2d(x, of(layer + ".weight"),
                      bias == tensors_.end() ? at::Tensor() : bias->second, {stride, stride},
                      {padding, padding}, at::IntArrayRef({1, 1}), groups);
  }
  at::Tensor norm(const std::string& layer, const at::Tensor& x) const {
    return at::batch_norm(x, of(layer + ".weight"), of(layer + ".bias"),
                          of(layer + ".running_mean"), of(layer + ".running_var"), false, 0.1, 1e-5,
                          false);
  }
  at::Tensor block(const std::string& at, const at::Tensor& x, int64_t stride,
                   int64_t groups) const {
    at::Tensor y = norm(at + "bn1", conv(at + "conv1", x, 1, 0, 1)).relu();
    y = norm(at + "bn2", conv(at + "conv2", y, stride, 1, groups)).relu();
    y = norm(at + "bn3", conv(at + "conv3", y, 1, 0, 1));
    const at::Tensor squeezed = conv(at + "se.fc1", y.mean({2, 3}, true), 1, 0, 1).relu();
    y = y * conv(at + "se.fc2", squeezed, 1, 0, 1).sigmoid();
    if (!has(at + "downsample.0")) return (y + x).relu();
    return (y + norm(at + "downsample.1", conv(at + "downsample.0", x, stride, 0, 1))).relu();
  }

  std::map<std::string, at::Tensor> tensors_;
};

at::Tensor images(at::ScalarType type) {
  return at::randn({2, 3, 64, 64}, at::detail::createCPUGenerator(3),
                   at::TensorOptions().dtype(at::kDouble))
      .to(type)
      .contiguous(at::MemoryFormat::ChannelsLast);
}

TEST(SeResNeXt, LogitsAreThoseOfTheFormula) {
  ModelOptions options = se_resnext(50, 4, 8);
  options.stem.width = 32;
  options.classes = 7;
  for (const bool fused : {true, false}) {
    options.fused = fused;
    ResNeXt model(options, 2);
    const auto generator = at::detail::createCPUGenerator(1);
    for (auto& [name, tensor] : model.state_dict()) {  // scales and biases that are not trivial
      if (tensor.dim() == 1) tensor.uniform_(0.5, 1.5, generator);
    }
    for (const auto& [type, bar] : {std::pair{at::kDouble, 1e-10}, {at::kFloat, 1e-4}}) {
      model.to(at::kCPU, type, true);
      const at::Tensor expected = Reference(model.state_dict()).logits(images(type), 4);
      const at::Tensor logits = model.forward(images(type), Mode::kEvaluate);
      const double scale = expected.abs().max().item<double>();
      EXPECT_LE((logits - expected).abs().max().item<double>(), bar * scale) << fused;
    }
  }
}

// The gate reads the normalisation's output twice; recomputing it changes nothing.
TEST(SeResNeXt, GradientsAreThoseOfTheSeparateOperations) {
  ModelOptions options = se_resnext(50, 4, 16);
  options.stem.width = 16;
  options.classes = 5;
  ResNeXt fused(options, 3);
  options.recompute_stages = 4;
  ResNeXt again(options, 3);
  options.fused = false;
  options.recompute_stages = 0;
  ResNeXt separate(options, 3);
  for (ResNeXt* model : {&fused, &again, &separate}) {
    model->to(at::kCPU, at::kDouble, true);
    model->forward(images(at::kDouble), Mode::kTrain).square().sum().backward();
  }
  const auto expected = separate.parameters();
  for (size_t i = 0; i < expected.size(); ++i) {
    for (ResNeXt* model : {&fused, &again}) {
      EXPECT_TRUE(at::allclose(model->parameters()[i].grad(), expected[i].grad(), 1e-8, 1e-9))
          << model->parameter_names()[i];
    }
  }
}

}  // namespace
}  // namespace resnext
