// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/layer_graph.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/max_pool2d.h>

#include <utility>

namespace resnext {
namespace {

// Every stride-th pixel, then channels of zeros.
at::Tensor pad_with_zeros(const at::Tensor& x, const PlannedLayer& layer) {
  const at::Tensor sampled =
      x.slice(2, 0, std::nullopt, layer.stride).slice(3, 0, std::nullopt, layer.stride);
  return at::constant_pad_nd(sampled, {0, 0, 0, 0, 0, layer.out_channels - layer.in_channels});
}

// In place.
at::Tensor activated(at::Tensor x, Activation activation) {
  switch (activation) {
    case Activation::kRelu:
      return x.relu_();
    case Activation::kSigmoid:
      return x.sigmoid_();
    case Activation::kNone:
      return x;
  }
  return x;
}

}  // namespace

// Outputs of a range's layers while it runs, one handle for each reader: what nobody reads any more
// is freed, unless backward needs it.
class LayerGraph::Run {
 public:
  Run(const LayerGraph& graph, LayerRange range, const at::Tensor& x, Mode mode,
      const at::Tensor& scales)
      : graph_(graph),
        range_(range),
        x_(x),
        mode_(mode),
        scales_(scales),
        outputs_(range.end - range.begin),
        beside_(range.end - range.begin) {}

  at::Tensor last() {
    for (size_t i = range_.begin; i < range_.end; ++i) outputs_[i - range_.begin] = outputs(i);
    return range_.begin == range_.end ? x_ : take(static_cast<int64_t>(range_.end) - 1);
  }

 private:
  at::Tensor take(int64_t layer) {
    const auto begin = static_cast<int64_t>(range_.begin);
    if (layer < begin) return x_;
    Handles& handles = outputs_[layer - begin];
    at::Tensor tensor = std::move(handles.back());
    handles.pop_back();
    return tensor;
  }

  int readers(size_t i) const { return i + 1 == range_.end ? 1 : graph_.readers_[i]; }

  Handles outputs(size_t i) {
    const PlannedLayer& layer = graph_.layers_[i];
    if (layer.joins_the_addition) return {};
    if (layer.kind == LayerKind::kBatchNorm) return normalised(i, take(layer.inputs[0]), {}, i);
    if (layer.kind == LayerKind::kAddition) return sums(i);
    return Handles(readers(i), activated(output(i), layer.activation));
  }

  // Of the BN layer `norm`, for the readers of layer `i`, which it is one operation with.
  Handles normalised(size_t norm, const at::Tensor& x, const at::Tensor& residual, size_t i) {
    if (graph_.kernels_ && graph_.norms_of_readers_.contains(norm) && taker(norm)) {
      beside_[norm - range_.begin].reader = c10::make_intrusive<NormReader>();
    }
    return std::get<BatchNorm>(graph_.modules_[norm])
        .run(x, residual, graph_.layers_[i].activation == Activation::kRelu, mode_, readers(i),
             beside_[norm - range_.begin]);
  }

  // The norm at that place, if it takes sums here.
  NormNeighbours* taker(std::optional<size_t> norm) {
    if (!norm || *norm < range_.begin || *norm >= range_.end) return nullptr;
    const bool takes = std::get<BatchNorm>(graph_.modules_[*norm]).takes_sums(mode_);
    return takes ? &beside_[*norm - range_.begin] : nullptr;
  }

  at::Tensor convolved(size_t i, const at::Tensor& x) {
    const auto& convolution = std::get<Convolution>(graph_.modules_[i]);
    const auto found = graph_.neighbours_.find(i);
    if (!graph_.kernels_ || found == graph_.neighbours_.end()) return convolution(x);
    NormNeighbours* behind = taker(found->second.statistics_of);
    NormNeighbours* before = taker(found->second.normalised_by);
    if (!behind && !before) return convolution(x);
    const Summed made = convolution.summed(x, graph_.kernels_, behind != nullptr,
                                           before ? before->reader : nullptr);
    if (behind) behind->sums = made.sums;
    return made.values;
  }

  Handles sums(size_t i) {
    const PlannedLayer& layer = graph_.layers_[i];
    const int64_t first = layer.inputs[0];
    const PlannedLayer& before = graph_.layers_[first];
    const at::Tensor residual = take(layer.inputs[1]);
    if (scales_.defined() && layer.drop_rate > 0) {
      const at::Tensor sum = scaled(branch(first), layer.block).add_(residual);
      return Handles(readers(i), activated(sum, layer.activation));
    }
    if (before.joins_the_addition) return normalised(first, take(before.inputs[0]), residual, i);
    return Handles(readers(i), activated(take(first).add_(residual), layer.activation));
  }

  // A block's, up to its addition.
  at::Tensor branch(int64_t last) {
    const PlannedLayer& layer = graph_.layers_[last];
    if (!layer.joins_the_addition) return take(last);
    return std::get<BatchNorm>(graph_.modules_[last])
        .run(take(layer.inputs[0]), {}, /*relu=*/false, mode_, 1, beside_[last - range_.begin])
        .front();
  }

  at::Tensor scaled(const at::Tensor& x, int64_t block) const {
    return x.mul(scales_[block].to(x.scalar_type()).view({-1, 1, 1, 1}));
  }

  at::Tensor output(size_t i) {
    const PlannedLayer& layer = graph_.layers_[i];
    std::vector<at::Tensor> inputs;
    for (const int64_t input : layer.inputs) inputs.push_back(take(input));
    const at::Tensor& x = inputs.front();
    switch (layer.kind) {
      case LayerKind::kConvolution:
        return convolved(i, x);
      case LayerKind::kLinear:
        return std::get<Linear>(graph_.modules_[i])(x.flatten(1));
      case LayerKind::kMaxPool:
        return at::max_pool2d(x, layer.kernel, layer.stride, layer.padding());
      case LayerKind::kAveragePool:
        return x.mean({2, 3}, /*keepdim=*/true);
      case LayerKind::kZeroPad:
        return pad_with_zeros(x, layer);
      case LayerKind::kScale:
        return x.mul(inputs[1]);
      default:
        return at::cat(inputs, 1);
    }
  }

  const LayerGraph& graph_;
  const LayerRange range_;
  const at::Tensor& x_;
  const Mode mode_;
  const at::Tensor scales_;
  std::vector<Handles> outputs_;
  std::vector<NormNeighbours> beside_;  // of norms
};

LayerGraph::LayerGraph(std::vector<PlannedLayer> layers, bool fused, const at::Generator& generator)
    : layers_(std::move(layers)), readers_(NetworkPlan{layers_, {}}.readers()) {
  for (const PlannedLayer& layer : layers_) {
    modules_.push_back(make_module(layer, fused, generator));
  }
  for (const auto& found : convolution_neighbours({layers_, {}})) {
    neighbours_[found.convolution] = found;
    if (found.normalised_by) norms_of_readers_.insert(*found.normalised_by);
  }
}

LayerGraph::Module LayerGraph::make_module(const PlannedLayer& layer, bool fused,
                                           const at::Generator& generator) {
  switch (layer.kind) {
    case LayerKind::kConvolution:
      return Convolution(layer, generator);
    case LayerKind::kBatchNorm:
      return BatchNorm(layer, fused);
    case LayerKind::kLinear:
      return Linear(layer, generator);
    default:
      return {};
  }
}

at::Tensor LayerGraph::run(LayerRange range, const at::Tensor& x, Mode mode,
                           const at::Tensor& scales) const {
  return Run(*this, range, x, mode, scales).last();
}

void LayerGraph::normalise_over(NormRanks& ranks) {
  for (Module& module : modules_) {
    if (auto* norm = std::get_if<BatchNorm>(&module)) norm->ranks = &ranks;
  }
}

void LayerGraph::visit(const TensorVisitor& visitor) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto own = [](auto& module) -> std::vector<at::Tensor*> {
      if constexpr (requires { module.tensors(); }) return module.tensors();
      return {};
    };
    const std::vector<at::Tensor*> held = std::visit(own, modules_[i]);
    const std::vector<PlannedTensor> planned = layers_[i].tensors();
    for (size_t j = 0; j < held.size(); ++j) {
      visitor(planned[j].name, *held[j], planned[j].is_parameter);
    }
  }
}

}  // namespace resnext
