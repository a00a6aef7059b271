// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/cost_profile.h"

#include <algorithm>

namespace resnext {
namespace {

// Times that a layer's operations read or write its input and its output, as whole matrices.
struct Passes {
  double forward_in = 0, forward_out = 0;
  double backward_in = 0, backward_out = 0;
};

// BN: statistics read x; the second pass reads x, and what is added, and writes. Backward reads the
// gradient and x twice and writes once; behind an addition it also reads the output and a second
// gradient twice, and writes the shortcut's gradient.
constexpr Passes kNorm = {2, 1, 3, 2};
constexpr Passes kNormWithAddition = {2, 2, 4, 6};

Passes passes_of(const LayerShape& layer) {
  switch (layer.kind) {
    case LayerKind::kConvolution:
    case LayerKind::kLinear:
      // The images have no gradient.
      return {1, 1, layer.inputs.front() == kImages ? 1.0 : 2.0,
              layer.inputs.front() == kImages ? 1.0 : 2.0};
    case LayerKind::kBatchNorm:
      return layer.joins_the_addition ? kNormWithAddition : kNorm;
    case LayerKind::kAddition:
      return {2, 1, 0, 3};
    case LayerKind::kScale:
      return {1, 1, 2, 2};
    default:
      return {1, 1, 1, 1};
  }
}

// An addition that its BN has taken along does nothing by itself.
bool taken_along(const std::vector<LayerShape>& layers, const LayerShape& layer) {
  return layer.kind == LayerKind::kAddition && layers[layer.inputs.front()].joins_the_addition;
}

LayerWork work_of(const LayerShape& layer, double images, double element_bytes) {
  LayerWork work{layer.name, layer.kind, label_of(layer), {}, {}, {}};
  for (const PlannedTensor& tensor : layer.tensors()) {
    if (tensor.is_parameter) work.parameters.push_back(tensor.elements());
  }
  const Passes passes = passes_of(layer);
  const double in = static_cast<double>(layer.input_elements()) * images * element_bytes;
  const double out = static_cast<double>(layer.output_elements()) * images * element_bytes;
  const double operations = 2 * static_cast<double>(layer.multiply_adds()) * images;
  const double weights =
      operations > 0 ? static_cast<double>(layer.parameters()) * element_bytes : 0;
  work.forward = {operations, passes.forward_in * in + passes.forward_out * out + weights};
  work.backward = {operations * (layer.inputs.front() == kImages ? 1 : 2),
                   passes.backward_in * in + passes.backward_out * out + 2 * weights};
  return work;
}

}  // namespace

Work& Work::operator+=(const Work& other) {
  operations += other.operations;
  bytes += other.bytes;
  return *this;
}

double least_time(const Work& work, const MachineRates& rates) {
  return std::max(work.operations / rates.operations, work.bytes / rates.bytes);
}

std::string_view label_of(const PlannedLayer& layer) {
  switch (layer.kind) {
    case LayerKind::kConvolution:
      if (layer.inputs.front() == kImages) return "stem";
      if (layer.groups > 1) return "grouped 3x3";
      return layer.kernel == 1 ? "1x1" : "3x3";
    case LayerKind::kBatchNorm:
      return "batch norm";
    case LayerKind::kMaxPool:
    case LayerKind::kAveragePool:
      return "pool";
    case LayerKind::kLinear:
      return "linear";
    default:
      return "other";
  }
}

std::vector<LayerWork> layer_work(const ModelOptions& options, int64_t image_size, int64_t images,
                                  int64_t element_bytes) {
  const std::vector<LayerShape> layers = all_layer_shapes(options, image_size);
  std::vector<LayerWork> work;
  for (const LayerShape& layer : layers) {
    if (taken_along(layers, layer)) continue;
    work.push_back(work_of(layer, static_cast<double>(images), static_cast<double>(element_bytes)));
  }
  return work;
}

}  // namespace resnext
