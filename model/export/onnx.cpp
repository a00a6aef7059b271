// SPDX-License-Identifier: BSD-3-Clause
#include "model/export/onnx.h"

#include <cmath>
#include <limits>
#include <map>

#include "comm/common/error.h"
#include "model/export/protobuf.h"
#include "model/network/plan.h"

namespace resnext {
namespace {

constexpr int64_t kIrVersion = 7;
constexpr double kEps = 1e-5;                             // of BN, as in model/network/layers.cpp
constexpr int64_t kFloat = 1, kInt64 = 7;                 // TensorProto.DataType
constexpr int64_t kOfFloat = 1, kOfInt = 2, kOfInts = 7;  // AttributeProto.AttributeType
constexpr const char* kInput = "images";
constexpr const char* kOutput = "logits";

using Names = std::vector<std::string>;

template <typename T>
std::string_view bytes_of(const T* data, int64_t count) {
  return {reinterpret_cast<const char*>(data), static_cast<size_t>(count) * sizeof(T)};
}

// A NodeProto.
class Node {
 public:
  Node(const char* type, const Names& inputs, const std::string& output) : output_(output) {
    for (const std::string& input : inputs) proto_.text(1, input);
    proto_.text(2, output).text(3, output).text(4, type);
  }
  Node& set(const char* name, int64_t value) {
    return attribute(ProtoMessage().text(1, name).number(3, value).number(20, kOfInt));
  }
  Node& set(const char* name, float value) {
    return attribute(ProtoMessage().text(1, name).real(2, value).number(20, kOfFloat));
  }
  Node& set(const char* name, const std::vector<int64_t>& values) {
    ProtoMessage proto;
    proto.text(1, name);
    for (const int64_t value : values) proto.number(8, value);
    return attribute(proto.number(20, kOfInts));
  }
  const std::string& output() const { return output_; }
  const ProtoMessage& proto() const { return proto_; }

 private:
  Node& attribute(const ProtoMessage& proto) {
    proto_.message(5, proto);
    return *this;
  }

  const std::string output_;
  ProtoMessage proto_;
};

// A dimension: a number, or the name of one that is free.
ProtoMessage dimension(int64_t size) {
  return ProtoMessage().number(1, size);
}
ProtoMessage dimension(const char* name) {
  return ProtoMessage().text(2, name);
}

ProtoMessage value_info(const char* name, const std::vector<ProtoMessage>& dimensions) {
  ProtoMessage shape;
  for (const ProtoMessage& d : dimensions) shape.message(1, d);
  const ProtoMessage tensor = ProtoMessage().number(1, kFloat).message(2, shape);
  return ProtoMessage().text(1, name).message(2, ProtoMessage().message(1, tensor));
}

// Makes the GraphProto, layer by layer.
class Graph {
 public:
  explicit Graph(const NetworkExport& network)
      : network_(network), plan_(plan_network(network.model)) {
    for (const auto& [name, tensor] : network.state) tensors_.emplace(name, tensor);
    if (network.fold_norm) find_folded();
  }

  ProtoMessage made() {
    proto_.text(2, "resnext");
    for (size_t i = 0; i < plan_.layers.size(); ++i) values_.push_back(value_of(i));
    const int64_t side = network_.image_size;
    proto_.message(11, value_info(kInput, {dimension("batch"), dimension(kImageChannels),
                                           dimension(side), dimension(side)}));
    proto_.message(12,
                   value_info(kOutput, {dimension("batch"), dimension(network_.model.classes)}));
    return std::move(proto_);
  }

 private:
  // The normalisation that alone reads a convolution.
  void find_folded() {
    const std::vector<int> readers = plan_.readers();
    for (const PlannedLayer& layer : plan_.layers) {
      if (layer.kind != LayerKind::kBatchNorm) continue;
      const int64_t before = layer.inputs[0];
      if (before == kImages || readers[before] != 1) continue;
      const PlannedLayer& convolution = plan_.layers[before];
      if (convolution.kind == LayerKind::kConvolution && !convolution.bias &&
          convolution.activation == Activation::kNone) {
        folded_.emplace(before, &layer);
      }
    }
  }
  bool is_folded(const PlannedLayer& norm) const {
    const auto found = folded_.find(norm.inputs[0]);
    return found != folded_.end() && found->second == &norm;
  }

  // The name of the layer's output.
  std::string value_of(size_t i) {
    const PlannedLayer& layer = plan_.layers[i];
    const bool last = i + 1 == plan_.layers.size();
    const std::string name = last ? kOutput : layer.name;
    const std::string value = make(i, layer, name);
    if (layer.activation == Activation::kNone) return value;
    const bool relu = layer.activation == Activation::kRelu;
    return add({relu ? "Relu" : "Sigmoid", {value}, layer.name + (relu ? ".relu" : ".sigmoid")});
  }

  std::string make(size_t i, const PlannedLayer& layer, const std::string& name) {
    Names inputs;
    for (const int64_t input : layer.inputs) {
      inputs.push_back(input == kImages ? kInput : values_[static_cast<size_t>(input)]);
    }
    switch (layer.kind) {
      case LayerKind::kConvolution:
        return convolution(i, layer, inputs[0], name);
      case LayerKind::kBatchNorm:
        return is_folded(layer) ? inputs[0] : batch_norm(layer, inputs[0], name);
      case LayerKind::kMaxPool:
        return add(windowed({"MaxPool", inputs, name}, layer));
      case LayerKind::kZeroPad:
        return zero_pad(layer, inputs[0], name);
      case LayerKind::kConcatenation:
        return add(Node("Concat", inputs, name).set("axis", int64_t{1}));
      case LayerKind::kAddition:
        return add({"Add", inputs, name});
      case LayerKind::kScale:
        return add({"Mul", inputs, name});
      case LayerKind::kAveragePool:
        return add({"GlobalAveragePool", inputs, name});
      case LayerKind::kLinear:
        return linear(layer, inputs[0], name);
    }
    return {};
  }

  static Node windowed(Node node, const PlannedLayer& layer) {
    const int64_t padding = layer.padding();
    return node.set("kernel_shape", {layer.kernel, layer.kernel})
        .set("strides", {layer.stride, layer.stride})
        .set("pads", {padding, padding, padding, padding});
  }

  std::string convolution(size_t i, const PlannedLayer& layer, const std::string& x,
                          const std::string& name) {
    at::Tensor weight = tensor(layer, "weight"), bias;
    if (layer.bias) bias = tensor(layer, "bias");
    if (const auto folded = folded_.find(static_cast<int64_t>(i)); folded != folded_.end()) {
      const PlannedLayer& norm = *folded->second;
      const auto wide = [&](const char* part) { return tensor(norm, part).to(at::kDouble); };
      const at::Tensor scale = wide("weight").div(wide("running_var").add(kEps).sqrt());
      weight = weight.to(at::kDouble).mul(scale.view({-1, 1, 1, 1}));
      bias = wide("bias").sub(wide("running_mean").mul(scale));
    }
    Names inputs = {x, initializer(layer.name + ".weight", weight)};
    if (bias.defined()) inputs.push_back(initializer(layer.name + ".bias", bias));
    return add(windowed({"Conv", inputs, name}, layer).set("group", layer.groups));
  }

  std::string batch_norm(const PlannedLayer& layer, const std::string& x, const std::string& name) {
    Names inputs = {x};
    for (const char* part : {"weight", "bias", "running_mean", "running_var"}) {
      inputs.push_back(initializer(layer.name + "." + part, tensor(layer, part)));
    }
    return add(Node("BatchNormalization", inputs, name).set("epsilon", static_cast<float>(kEps)));
  }

  // Every stride-th pixel, then channels of zeros.
  std::string zero_pad(const PlannedLayer& layer, const std::string& x, const std::string& name) {
    constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
    const std::string sampled = add(
        {"Slice",
         {x, numbers(name + ".starts", {0, 0}), numbers(name + ".ends", {kEnd, kEnd}),
          numbers(name + ".axes", {2, 3}), numbers(name + ".steps", {layer.stride, layer.stride})},
         name + ".sampled"});
    const int64_t channels = layer.out_channels - layer.in_channels;
    return add({"Pad", {sampled, numbers(name + ".pads", {0, 0, 0, 0, 0, channels, 0, 0})}, name});
  }

  std::string linear(const PlannedLayer& layer, const std::string& x, const std::string& name) {
    const std::string flat = add({"Flatten", {x}, layer.name + ".flat"});
    return add(Node("Gemm",
                    {flat, initializer(layer.name + ".weight", tensor(layer, "weight")),
                     initializer(layer.name + ".bias", tensor(layer, "bias"))},
                    name)
                   .set("transB", int64_t{1}));
  }

  const at::Tensor& tensor(const PlannedLayer& layer, const char* part) const {
    return tensors_.at(layer.name + "." + part);
  }

  std::string initializer(const std::string& name, const at::Tensor& values) {
    const at::Tensor floats = values.detach().cpu().to(at::kFloat).contiguous();
    add_tensor(name, floats.sizes(), kFloat,
               bytes_of(floats.const_data_ptr<float>(), floats.numel()));
    return name;
  }
  std::string numbers(const std::string& name, const std::vector<int64_t>& values) {
    const auto count = static_cast<int64_t>(values.size());
    add_tensor(name, {count}, kInt64, bytes_of(values.data(), count));
    return name;
  }
  void add_tensor(const std::string& name, at::IntArrayRef sizes, int64_t type,
                  std::string_view bytes) {
    ProtoMessage proto;
    for (const int64_t size : sizes) proto.number(1, size);
    proto_.message(5, proto.number(2, type).text(8, name).text(9, bytes));
  }

  std::string add(const Node& node) {
    proto_.message(1, node.proto());
    return node.output();
  }

  const NetworkExport& network_;
  const NetworkPlan plan_;
  std::map<std::string, at::Tensor> tensors_;
  std::map<int64_t, const PlannedLayer*> folded_;  // the normalisations, by convolution
  Names values_;                                   // outputs of the layers so far
  ProtoMessage proto_;
};

}  // namespace

void write_onnx(const NetworkExport& network, const ByteSink& sink) {
  const ProtoMessage graph = Graph(network).made();
  ProtoMessage model;
  model.number(1, kIrVersion).text(2, "resnext").text(3, RESNEXT_VERSION);
  model.message(8, ProtoMessage().text(1, "").number(2, kOnnxOpset));
  for (const auto& [key, value] : network.notes) {
    model.message(14, ProtoMessage().text(1, key).text(2, value));
  }
  model.message(7, graph);
  if (model.bytes().size() > std::numeric_limits<int32_t>::max()) {
    throw OutputError("the network", "has 2 GiB or more, which an .onnx file cannot hold",
                      "write a .safetensors file");
  }
  sink(std::as_bytes(std::span(model.bytes())));
}

}  // namespace resnext
