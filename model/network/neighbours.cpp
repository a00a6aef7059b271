// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/neighbours.h"

namespace resnext {
namespace {

bool is_norm(const PlannedLayer& layer) {
  return layer.kind == LayerKind::kBatchNorm;
}

// The layer that alone reads the output of `layer`.
std::optional<size_t> only_reader(const NetworkPlan& plan, const std::vector<int>& readers,
                                  size_t layer) {
  if (readers[layer] != 1) return std::nullopt;
  for (size_t i = layer + 1; i < plan.layers.size(); ++i) {
    for (const int64_t input : plan.layers[i].inputs) {
      if (input == static_cast<int64_t>(layer)) return i;
    }
  }
  return std::nullopt;
}

// The BN with a ReLU whose output this layer alone reads. One that is added to something first
// gives an output that the shortcut reads as well.
std::optional<size_t> norm_before(const NetworkPlan& plan, const std::vector<int>& readers,
                                  const PlannedLayer& layer) {
  const int64_t input = layer.inputs.front();
  if (input == kImages || readers[input] != 1) return std::nullopt;
  const PlannedLayer& before = plan.layers[input];
  if (!is_norm(before) || before.activation != Activation::kRelu) return std::nullopt;
  return static_cast<size_t>(input);
}

}  // namespace

std::vector<ConvolutionNeighbours> convolution_neighbours(const NetworkPlan& plan) {
  const std::vector<int> readers = plan.readers();
  std::vector<ConvolutionNeighbours> found;
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const PlannedLayer& layer = plan.layers[i];
    if (layer.kind != LayerKind::kConvolution) continue;
    ConvolutionNeighbours& neighbours = found.emplace_back();
    neighbours.convolution = i;
    const std::optional<size_t> reader = only_reader(plan, readers, i);
    if (reader && is_norm(plan.layers[*reader])) neighbours.statistics_of = reader;
    neighbours.normalised_by = norm_before(plan, readers, layer);
  }
  return found;
}

}  // namespace resnext
