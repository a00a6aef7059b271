// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/plan.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "comm/common/error.h"
#include "model/network/model_defaults.h"

namespace resnext {
namespace {

// Appends layers; each step gives the place of the layer whose output goes on.
class Planner {
 public:
  explicit Planner(const ModelOptions& resolved) : options_(resolved) {}

  NetworkPlan plan() {
    int64_t x = stem();
    const std::vector<int64_t> blocks = stage_blocks(options_);
    for (size_t stage = 0; stage < blocks.size(); ++stage) {
      stage_ = static_cast<int64_t>(stage) + 1;
      const size_t begin = plan_.layers.size();
      for (int64_t block = 0; block < blocks[stage]; ++block) x = bottleneck(x, block);
      plan_.stages.push_back({begin, plan_.layers.size()});
    }
    set_drop_rates();
    stage_ = 0;
    classifier(x);
    return std::move(plan_);
  }

 private:
  // Linear from the first block to the last (model/network/stochastic_depth.h).
  void set_drop_rates() {
    const auto last = static_cast<double>(std::max<int64_t>(1, blocks_ - 1));
    for (PlannedLayer& layer : plan_.layers) {
      layer.drop_rate = options_.stochastic_depth * static_cast<double>(layer.block) / last;
    }
  }

  int64_t stem() {
    const StemOptions& stem = options_.stem;
    const int64_t conv = convolution("conv1", kImages, stem.width, stem.kernel, stem.stride);
    const int64_t x = batch_norm("bn1", conv, Activation::kRelu);
    if (stem.pool != StemPool::kOn) return x;
    return add({"maxpool", LayerKind::kMaxPool, channels(x), channels(x), 3, 2}, {x});
  }

  int64_t bottleneck(int64_t x, int64_t block) {
    const std::string name = "layer" + std::to_string(stage_) + "." + std::to_string(block) + ".";
    const int64_t stride = stage_ > 1 && block == 0 ? 2 : 1;
    const int64_t out = kExpansion * stage_planes(options_, stage_ - 1);
    const int64_t conv3 = convolution(name + "conv3", paths(name, x, stride), out, 1, 1);
    const int64_t bn3 = batch_norm(name + "bn3", conv3, Activation::kNone);
    plan_.layers[bn3].zero_gamma = options_.zero_gamma;
    plan_.layers[bn3].joins_the_addition = options_.se_reduction == 0;
    const int64_t inner = options_.se_reduction == 0 ? bn3 : gated(name + "se.", bn3);
    const int64_t sum = add({name + "add", LayerKind::kAddition, out, out},
                            {inner, shortcut(name + "downsample", x, out, stride)});
    plan_.layers[sum].activation = Activation::kRelu;
    plan_.layers[sum].block = blocks_++;
    return sum;
  }

  // Of the inner width, behind the 3x3.
  int64_t paths(const std::string& name, int64_t x, int64_t stride) {
    const int64_t width = inner_width(options_, stage_ - 1), groups = block_groups(options_);
    if (options_.block != Block::kB) return path(name, x, width, groups, stride);
    std::vector<int64_t> parts;
    for (int64_t j = 0; j < groups; ++j) {
      const std::string of_path = name + "paths." + std::to_string(j) + ".";
      parts.push_back(path(of_path, x, width / groups, 1, stride));
    }
    return add({name + "cat", LayerKind::kConcatenation, width / groups, width}, std::move(parts));
  }

  int64_t path(const std::string& name, int64_t x, int64_t width, int64_t groups, int64_t stride) {
    x = batch_norm(name + "bn1", convolution(name + "conv1", x, width, 1, 1), Activation::kRelu);
    x = convolution(name + "conv2", x, width, 3, stride, groups);
    return batch_norm(name + "bn2", x, Activation::kRelu);
  }

  // Scaled by squeeze-and-excitation.
  int64_t gated(const std::string& name, int64_t x) {
    const int64_t out = channels(x), squeezed = squeezed_channels(options_, out);
    int64_t gate = add({name + "pool", LayerKind::kAveragePool, out, out}, {x});
    gate = excitation(name + "fc1", gate, squeezed, Activation::kRelu);
    gate = excitation(name + "fc2", gate, out, Activation::kSigmoid);
    return add({name + "scale", LayerKind::kScale, out, out}, {x, gate});
  }

  int64_t excitation(const std::string& name, int64_t x, int64_t out, Activation activation) {
    const int64_t conv = convolution(name, x, out, 1, 1);
    plan_.layers[conv].bias = true;
    plan_.layers[conv].activation = activation;
    return conv;
  }

  // From the block's input to the shape of its output.
  int64_t shortcut(const std::string& name, int64_t x, int64_t out, int64_t stride) {
    const bool changes = channels(x) != out || stride != 1;
    if (!changes && options_.shortcut != Shortcut::kC) return x;
    if (options_.shortcut == Shortcut::kA) {
      return add({name, LayerKind::kZeroPad, channels(x), out, 1, stride}, {x});
    }
    return batch_norm(name + ".1", convolution(name + ".0", x, out, 1, stride), Activation::kNone);
  }

  void classifier(int64_t x) {
    const int64_t features = channels(x);
    x = add({"avgpool", LayerKind::kAveragePool, features, features}, {x});
    add({"fc", LayerKind::kLinear, features, options_.classes}, {x});
  }

  int64_t convolution(const std::string& name, int64_t x, int64_t out, int64_t kernel,
                      int64_t stride, int64_t groups = 1) {
    return add({name, LayerKind::kConvolution, channels(x), out, kernel, stride, groups}, {x});
  }

  int64_t batch_norm(const std::string& name, int64_t x, Activation activation) {
    const int64_t norm = add({name, LayerKind::kBatchNorm, channels(x), channels(x)}, {x});
    plan_.layers[norm].activation = activation;
    return norm;
  }

  int64_t channels(int64_t layer) const {
    return layer == kImages ? kImageChannels : plan_.layers[layer].out_channels;
  }

  int64_t add(PlannedLayer layer, std::vector<int64_t> inputs) {
    layer.stage = stage_;
    layer.inputs = std::move(inputs);
    plan_.layers.push_back(std::move(layer));
    return static_cast<int64_t>(plan_.layers.size()) - 1;
  }

  const ModelOptions options_;
  NetworkPlan plan_;
  int64_t stage_ = 0;   // of PlannedLayer
  int64_t blocks_ = 0;  // so far
};

PlannedTensor convolution_weight(const PlannedLayer& layer) {
  return {layer.name + ".weight",
          {layer.out_channels, layer.in_channels / layer.groups, layer.kernel, layer.kernel}};
}

}  // namespace

int64_t PlannedTensor::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::vector<PlannedTensor> PlannedLayer::tensors() const {
  const std::vector<int64_t> channel = {out_channels};
  switch (kind) {
    case LayerKind::kConvolution:
      if (bias) return {convolution_weight(*this), {name + ".bias", channel}};
      return {convolution_weight(*this)};
    case LayerKind::kBatchNorm:
      return {{name + ".weight", channel},
              {name + ".bias", channel},
              {name + ".running_mean", channel, false},
              {name + ".running_var", channel, false},
              {name + ".num_batches_tracked", {}, false}};
    case LayerKind::kLinear:
      return {{name + ".weight", {out_channels, in_channels}}, {name + ".bias", channel}};
    default:
      return {};
  }
}

std::vector<int> NetworkPlan::readers() const {
  std::vector<int> counts(layers.size());
  for (const PlannedLayer& layer : layers) {
    for (const int64_t input : layer.inputs) {
      if (input != kImages) ++counts[input];
    }
  }
  return counts;
}

NetworkPlan plan_network(const ModelOptions& options) {
  if (options.classes < 1) {
    throw ConfigError("model.classes", "the number of classes is not known",
                      "set it, or name a data set that says it");
  }
  check_recompute_stages(options);
  return Planner(resolve_defaults(options)).plan();
}

}  // namespace resnext
