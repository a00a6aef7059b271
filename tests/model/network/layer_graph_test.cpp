// How the plan's layers are joined in autograd's graph.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/layer_graph.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <map>
#include <set>

#include "model/network/resnext.h"

namespace resnext {
namespace {

ModelOptions narrow(Family family) {
  ModelOptions options;
  options.family = family;
  options.depth = family == Family::kCifar ? 20 : 50;
  options.cardinality = 2;
  options.base_width = 16;
  options.stem.width = 16;
  options.classes = 5;
  return options;
}

at::Tensor images(int64_t side) {
  return at::randn({2, 3, side, side}, at::detail::createCPUGenerator(1),
                   at::TensorOptions().dtype(at::kDouble))
      .contiguous(at::MemoryFormat::ChannelsLast);
}

// Names of the operations that get the gradients of several readers of one output, which autograd
// adds for them.
std::multiset<std::string> sums_of_autograd(const at::Tensor& output) {
  std::map<std::pair<torch::autograd::Node*, uint32_t>, int> readers;
  std::set<torch::autograd::Node*> seen;
  std::vector<torch::autograd::Node*> left = {output.grad_fn().get()};
  while (!left.empty()) {
    torch::autograd::Node* node = left.back();
    left.pop_back();
    if (!seen.insert(node).second) continue;
    for (const auto& edge : node->next_edges()) {
      if (!edge.function) continue;
      ++readers[{edge.function.get(), edge.input_nr}];
      left.push_back(edge.function.get());
    }
  }
  std::multiset<std::string> sums;
  for (const auto& [place, count] : readers) {
    if (count > 1) sums.insert(place.first->name());
  }
  return sums;
}

// A block's output goes into the next block and around it: the normalisation takes both gradients.
TEST(LayerGraph, AutogradAddsNoGradientsOfBlocks) {
  ResNeXt cifar(narrow(Family::kCifar), 1), imagenet(narrow(Family::kImagenet), 1);
  for (ResNeXt* model : {&cifar, &imagenet}) model->to(at::kCPU, at::kDouble, true);
  EXPECT_TRUE(sums_of_autograd(cifar.forward(images(8), Mode::kTrain)).empty());
  const auto behind_pool = sums_of_autograd(imagenet.forward(images(32), Mode::kTrain));
  EXPECT_EQ(behind_pool.size(), 1U);  // of the stem's pool
}

TEST(LayerGraph, GradientsAreThoseOfTheSeparateOperations) {
  for (const Family family : {Family::kCifar, Family::kImagenet}) {
    ModelOptions options = narrow(family);
    ResNeXt fused(options, 3);
    options.fused = false;
    ResNeXt separate(options, 3);
    const at::Tensor x = images(family == Family::kCifar ? 8 : 64);
    for (ResNeXt* model : {&fused, &separate}) {
      model->to(at::kCPU, at::kDouble, true);
      model->forward(x, Mode::kTrain).square().sum().backward();
    }
    const auto ours = fused.parameters(), theirs = separate.parameters();
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_TRUE(at::allclose(ours[i].grad(), theirs[i].grad(), 1e-8, 1e-9))
          << fused.parameter_names()[i];
    }
  }
}

// A range hands on one handle, whoever reads it in the whole network.
TEST(LayerGraph, RangesOneAfterTheOtherAreTheWhole) {
  const ModelOptions options = narrow(Family::kCifar);
  const NetworkPlan plan = plan_network(options);
  const LayerGraph graph(plan.layers, true, at::detail::createCPUGenerator(1));
  const at::Tensor x = images(8).to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor whole = graph.run({0, plan.layers.size()}, x, Mode::kEvaluate);
  at::Tensor y = graph.run({0, plan.stages[0].begin}, x, Mode::kEvaluate);
  for (const LayerRange stage : plan.stages) y = graph.run(stage, y, Mode::kEvaluate);
  y = graph.run({plan.stages.back().end, plan.layers.size()}, y, Mode::kEvaluate);
  EXPECT_TRUE(y.equal(whole));
  EXPECT_TRUE(graph.run({3, 3}, x, Mode::kEvaluate).equal(x));
}

// ---- freezing -------------------------------------------------------------------------------

bool is_frozen(const std::string& name, int64_t stages) {
  if (name.starts_with("conv1.") || name.starts_with("bn1.")) return stages >= 0;
  return name.starts_with("layer") && name[5] - '0' <= stages;
}

// Frozen layers are what evaluation makes of them, and nothing of theirs changes; the others train.
TEST(FrozenStages, KeepTheirWeightsAndStatistics) {
  for (const int64_t stages : {-1, 0, 1, 3}) {
    ModelOptions options = narrow(Family::kCifar);
    options.freeze = stages;
    options.recompute_stages = 2;
    ResNeXt model(options, 1);
    model.to(at::kCPU, at::kFloat, true);
    StateDict before = model.state_dict();
    for (auto& [name, tensor] : before) tensor = tensor.clone();
    const at::Tensor x = images(8).to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor logits = model.forward(x, Mode::kTrain);
    logits.square().sum().backward();
    model.count_batches(1);

    std::set<std::string> trained;
    for (const std::string& name : model.trained_names()) trained.insert(name);
    const std::vector<std::string> names = model.parameter_names();
    for (size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(trained.contains(names[i]), !is_frozen(names[i], stages)) << names[i];
      EXPECT_EQ(model.parameters()[i].grad().defined(), trained.contains(names[i])) << names[i];
      EXPECT_EQ(model.parameters()[i].requires_grad(), trained.contains(names[i])) << names[i];
    }
    EXPECT_EQ(model.trained_parameters().size(), trained.size());
    for (const auto& [name, tensor] : model.state_dict()) {
      if (!name.ends_with("running_mean") && !name.ends_with("tracked")) continue;
      const auto found = std::ranges::find(before, name, &StateDict::value_type::first);
      EXPECT_EQ(tensor.equal(found->second), is_frozen(name, stages)) << name;
    }

    const NetworkPlan plan = plan_network(options);
    const LayerGraph graph(plan.layers, true, at::detail::createCPUGenerator(1));
    const size_t end = stages < 0    ? 0
                       : stages == 0 ? plan.stages[0].begin
                                     : plan.stages[static_cast<size_t>(stages) - 1].end;
    const at::Tensor y = graph.run({0, end}, x, Mode::kEvaluate);
    EXPECT_TRUE(at::allclose(graph.run({end, plan.layers.size()}, y, Mode::kTrain), logits));
  }
}

}  // namespace
}  // namespace resnext
