// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/cost.h"

#include <algorithm>
#include <string>
#include <utility>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr int64_t kFloatBytes = 4;
constexpr int64_t kPoolIndexBytes = 8;  // the max pool keeps an int64 index per output

// Form C, whose counts are those of form B.
NetworkPlan counted_plan(ModelOptions options) {
  if (options.block == Block::kB) options.block = Block::kC;
  return plan_network(options);
}

int64_t side_after(const PlannedLayer& layer, int64_t side) {
  if (layer.kind == LayerKind::kAveragePool || layer.kind == LayerKind::kLinear) return 1;
  return (side + 2 * layer.padding() - layer.kernel) / layer.stride + 1;
}

// Every layer of the plan at its size.
std::vector<LayerShape> sized(const NetworkPlan& plan, int64_t image_size) {
  std::vector<LayerShape> shapes;
  for (const PlannedLayer& layer : plan.layers) {
    const int64_t input = layer.inputs.front();
    const int64_t side = input == kImages ? image_size : shapes[input].output_side;
    LayerShape shape{layer};
    shape.input_side = side;
    shape.output_side = side_after(layer, side);
    if (layer.kind == LayerKind::kAveragePool) shape.kernel = side;
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

// Backward needs what a layer takes. An addition needs neither operand; it puts its result, which
// the ReLU needs, in the place of the first.
void mark_kept(std::vector<LayerShape>& layers) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool adds = layers[i].kind == LayerKind::kAddition;
    for (size_t j = 0; j < (adds ? 1 : layers[i].inputs.size()); ++j) {
      const int64_t input = layers[i].inputs[j];
      if (input != kImages) layers[input].kept_for_later = true;
    }
  }
}

int64_t kept_bytes(const LayerShape& layer) {
  if (!layer.kept_for_later) return 0;
  const bool indexed = layer.kind == LayerKind::kMaxPool;
  return layer.output_elements() * (kFloatBytes + (indexed ? kPoolIndexBytes : 0));
}

// In forward order; `image` bytes are there before.
int64_t peak_activation_bytes(const std::vector<LayerShape>& layers, int64_t image,
                              int64_t recompute_stages) {
  int64_t kept = image;     // by the forward pass so far
  int64_t second_runs = 0;  // most at a time while a stage runs again
  int64_t own = 0;          // of the stage so far
  for (size_t i = 0; i < layers.size(); ++i) {
    const LayerShape& layer = layers[i];
    if (layer.stage == 0 || layer.stage > recompute_stages) {
      kept += kept_bytes(layer);
      continue;
    }
    own += kept_bytes(layer);
    if (layers[i + 1].stage == layer.stage) continue;
    second_runs = std::max(second_runs, kept + own);
    kept += layer.output_elements() * kFloatBytes;
    own = 0;
  }
  return std::max(kept, second_runs);
}

}  // namespace

int64_t LayerShape::parameters() const {
  int64_t sum = 0;
  for (const PlannedTensor& tensor : tensors()) sum += tensor.is_parameter ? tensor.elements() : 0;
  return sum;
}

int64_t LayerShape::parameter_tensors() const {
  return std::ranges::count(tensors(), true, &PlannedTensor::is_parameter);
}

int64_t LayerShape::multiply_adds() const {
  if (kind == LayerKind::kLinear) return in_channels * out_channels;
  if (kind != LayerKind::kConvolution) return 0;
  return in_channels / groups * out_channels * kernel * kernel * output_side * output_side;
}

int64_t LayerShape::input_elements() const {
  return in_channels * input_side * input_side;
}

int64_t LayerShape::output_elements() const {
  return out_channels * output_side * output_side;
}

std::vector<LayerShape> all_layer_shapes(const ModelOptions& options, int64_t image_size) {
  if (image_size < 1) {
    throw ConfigError("data.size", std::to_string(image_size) + " is not an image size",
                      "use a positive number of pixels");
  }
  std::vector<LayerShape> shapes = sized(counted_plan(options), image_size);
  mark_kept(shapes);
  return shapes;
}

std::vector<LayerShape> layer_shapes(const ModelOptions& options, int64_t image_size) {
  std::vector<LayerShape> shapes = all_layer_shapes(options, image_size);
  std::erase_if(shapes, [](const auto& layer) { return layer.kind == LayerKind::kAddition; });
  return shapes;
}

Cost model_cost(const ModelOptions& options, int64_t image_size) {
  Cost cost;
  double multiply_adds = 0;
  const std::vector<LayerShape> layers = layer_shapes(options, image_size);
  for (const LayerShape& layer : layers) {
    cost.parameters += layer.parameters();
    cost.parameter_tensors += layer.parameter_tensors();
    cost.buffer_tensors += std::ranges::count(layer.tensors(), false, &PlannedTensor::is_parameter);
    multiply_adds += static_cast<double>(layer.multiply_adds());
  }
  cost.activation_bytes = peak_activation_bytes(
      layers, kImageChannels * image_size * image_size * kFloatBytes, options.recompute_stages);
  cost.gradient_bytes = cost.parameters * kFloatBytes;
  cost.gmac = multiply_adds / 1e9;
  return cost;
}

}  // namespace resnext
