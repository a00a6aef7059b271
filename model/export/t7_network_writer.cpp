// SPDX-License-Identifier: BSD-3-Clause
#include "model/export/t7_network_writer.h"

#include <algorithm>
#include <map>

#include "model/export/t7_writer.h"
#include "model/network/cost.h"
#include "model/network/plan.h"

namespace resnext {
namespace {

using Fields = std::vector<std::pair<std::string, T7Field>>;

double number(int64_t value) {
  return static_cast<double>(value);
}

T7Module module(const char* type, Fields fields = {}) {
  const at::Tensor empty;
  const Fields common = {{"_type", std::string("torch.FloatTensor")},
                         {"train", false},
                         {"output", empty},
                         {"gradInput", empty}};
  for (const auto& field : common) {
    const bool given =
        std::ranges::any_of(fields, [&](const auto& other) { return other.first == field.first; });
    if (!given) fields.push_back(field);
  }
  return {type, std::move(fields)};
}

T7Module container(const char* type, T7Modules modules, Fields fields = {}) {
  fields.emplace_back("modules", std::move(modules));
  return module(type, std::move(fields));
}

T7Module sequential(T7Modules modules) {
  return container("nn.Sequential", std::move(modules));
}

// Of the input, for each module.
T7Module concat_table(T7Modules modules) {
  return container("nn.ConcatTable", std::move(modules), {{"output", T7Modules{}}});
}

T7Module relu() {
  return module("nn.ReLU", {{"inplace", true}, {"threshold", 0.0}, {"val", 0.0}});
}

Fields window(int64_t kernel, int64_t stride, int64_t padding) {
  return {{"kW", number(kernel)}, {"kH", number(kernel)},    {"dW", number(stride)},
          {"dH", number(stride)}, {"padW", number(padding)}, {"padH", number(padding)}};
}

T7Module average_pool(int64_t kernel, int64_t stride) {
  Fields fields = window(kernel, stride, 0);
  fields.insert(fields.end(),
                {{"ceil_mode", false}, {"count_include_pad", true}, {"divide", true}});
  return module("nn.SpatialAveragePooling", std::move(fields));
}

// Every stride-th pixel, then channels of zeros: shortcut A.
T7Modules zero_pad(const PlannedLayer& layer) {
  T7Modules parts = {module("nn.Identity")};
  for (int64_t i = 1; i < layer.out_channels / layer.in_channels; ++i) {
    parts.push_back(module("nn.MulConstant", {{"constant_scalar", 0.0}, {"inplace", false}}));
  }
  return {
      average_pool(1, layer.stride),
      container("nn.Concat", std::move(parts), {{"dimension", 2.0}, {"size", T7LongStorage{}}})};
}

class Tree {
 public:
  explicit Tree(const NetworkExport& network) : plan_(plan_network(network.model)) {
    for (const auto& [name, tensor] : network.state) tensors_.emplace(name, tensor);
    for (const LayerShape& layer : layer_shapes(network.model, network.image_size)) {
      if (layer.name == "avgpool") pooled_side_ = layer.kernel;
    }
  }

  T7Module network() {
    T7Modules modules;
    const std::vector<PlannedLayer>& layers = plan_.layers;
    for (size_t i = 0; i < plan_.stages.front().begin; ++i) append(modules, layers[i]);
    for (const LayerRange stage : plan_.stages) modules.push_back(sequential(blocks(stage)));
    for (size_t i = plan_.stages.back().end; i < layers.size(); ++i) append(modules, layers[i]);
    return sequential(std::move(modules));
  }

 private:
  // Each ends with its addition.
  T7Modules blocks(LayerRange stage) {
    T7Modules blocks;
    for (size_t i = stage.begin, first = i; i < stage.end; ++i) {
      if (plan_.layers[i].kind != LayerKind::kAddition) continue;
      blocks.push_back(block({first, i}));
      first = i + 1;
    }
    return blocks;
  }

  T7Module block(LayerRange range) {
    T7Modules transformation, shortcut;
    std::vector<T7Modules> paths;
    for (size_t i = range.begin; i < range.end; ++i) {
      const PlannedLayer& layer = plan_.layers[i];
      if (layer.name.find(".downsample") != std::string::npos) {
        append(shortcut, layer);
      } else if (const size_t path = path_of(layer.name); path > 0) {
        paths.resize(std::max(paths.size(), path));
        append(paths[path - 1], layer);
      } else if (layer.kind == LayerKind::kConcatenation) {
        T7Modules ends;
        for (T7Modules& modules : paths) ends.push_back(sequential(std::move(modules)));
        transformation = {
            concat_table(std::move(ends)),
            module("nn.JoinTable",
                   {{"dimension", 2.0}, {"size", T7LongStorage{}}, {"gradInput", T7Modules{}}})};
      } else {
        append(transformation, layer);
      }
    }
    T7Module second = shortcut.empty() ? module("nn.Identity") : sequential(std::move(shortcut));
    return sequential({concat_table({sequential(std::move(transformation)), std::move(second)}),
                       module("nn.CAddTable", {{"inplace", true}, {"gradInput", T7Modules{}}}),
                       relu()});
  }

  // From 1; 0 where the layer belongs to no path.
  static size_t path_of(const std::string& name) {
    constexpr std::string_view kPaths = ".paths.";
    const size_t at = name.find(kPaths);
    return at == std::string::npos ? 0 : std::stoul(name.substr(at + kPaths.size())) + 1;
  }

  // The modules that a layer is.
  void append(T7Modules& modules, const PlannedLayer& layer) const {
    switch (layer.kind) {
      case LayerKind::kConvolution:
        modules.push_back(convolution(layer));
        break;
      case LayerKind::kBatchNorm:
        modules.push_back(norm(layer));
        break;
      case LayerKind::kMaxPool:
        modules.push_back(
            module("nn.SpatialMaxPooling", window(layer.kernel, layer.stride, layer.padding())));
        modules.back().fields.emplace_back("ceil_mode", false);
        break;
      case LayerKind::kZeroPad:
        modules = zero_pad(layer);
        break;
      case LayerKind::kAveragePool:
        modules.push_back(average_pool(pooled_side_, 1));
        modules.push_back(module("nn.View", {{"size", T7LongStorage{layer.out_channels}},
                                             {"numElements", number(layer.out_channels)},
                                             {"numInputDims", 3.0}}));
        break;
      default:
        modules.push_back(module(
            "nn.Linear", {{"weight", tensor(layer, "weight")}, {"bias", tensor(layer, "bias")}}));
    }
    if (layer.activation == Activation::kRelu) modules.push_back(relu());
  }

  T7Module convolution(const PlannedLayer& layer) const {
    Fields fields = window(layer.kernel, layer.stride, layer.padding());
    fields.insert(fields.end(), {{"nInputPlane", number(layer.in_channels)},
                                 {"nOutputPlane", number(layer.out_channels)},
                                 {"weight", tensor(layer, "weight")}});
    if (layer.groups == 1) return module("nn.SpatialConvolution", std::move(fields));
    fields.emplace_back("groups", number(layer.groups));
    return module("cudnn.SpatialConvolution", std::move(fields));
  }

  T7Module norm(const PlannedLayer& layer) const {
    return module("nn.SpatialBatchNormalization", {{"eps", 1e-5},
                                                   {"momentum", 0.1},
                                                   {"affine", true},
                                                   {"nDim", 4.0},
                                                   {"weight", tensor(layer, "weight")},
                                                   {"bias", tensor(layer, "bias")},
                                                   {"running_mean", tensor(layer, "running_mean")},
                                                   {"running_var", tensor(layer, "running_var")}});
  }

  at::Tensor tensor(const PlannedLayer& layer, const char* part) const {
    return tensors_.at(layer.name + "." + part).to(at::kFloat).contiguous();
  }

  const NetworkPlan plan_;
  std::map<std::string, at::Tensor> tensors_;
  int64_t pooled_side_ = 0;  // pixels
};

}  // namespace

void write_t7(const NetworkExport& network, const ByteSink& sink) {
  write_t7_module(Tree(network).network(), sink);
}

}  // namespace resnext
