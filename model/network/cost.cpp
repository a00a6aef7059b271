// Walks the network's layers and adds up what they cost.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/cost.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "comm/common/error.h"
#include "model/network/model_defaults.h"

namespace resnext {
namespace {

constexpr int64_t kImageChannels = 3;
constexpr int64_t kFloatBytes = 4;
constexpr int64_t kPoolIndexBytes = 8;  // the max pool keeps an int64 index per output

// Appends layers; knows the channels and the side of the tensor that the last one put out.
class LayerWalk {
 public:
  LayerWalk(const ModelOptions& options, int64_t image_size)
      : options_(options), channels_(kImageChannels), side_(image_size) {}

  std::vector<LayerShape> walk() {
    stem();
    const std::vector<int64_t> blocks = stage_blocks(options_);
    for (size_t stage = 0; stage < blocks.size(); ++stage) {
      stage_ = static_cast<int64_t>(stage) + 1;
      for (int64_t block = 0; block < blocks[stage]; ++block) {
        bottleneck(static_cast<int64_t>(stage), block);
      }
    }
    stage_ = 0;
    classifier();
    return std::move(layers_);
  }

 private:
  void stem() {
    convolution("conv1", options_.stem.width, options_.stem.kernel, options_.stem.stride);
    batch_norm("bn1");
    if (options_.stem.pool != StemPool::kOn) return;
    add({"maxpool", LayerKind::kMaxPool, channels_, channels_, 3, 2, 1, side_after(3, 2)});
  }

  void bottleneck(int64_t stage, int64_t block) {
    const std::string name =
        "layer" + std::to_string(stage + 1) + "." + std::to_string(block) + ".";
    const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
    const int64_t width = inner_width(options_, stage);
    const std::pair input{channels_, side_};
    convolution(name + "conv1", width, 1, 1);
    batch_norm(name + "bn1");
    convolution(name + "conv2", width, 3, stride, block_groups(options_));
    batch_norm(name + "bn2");
    convolution(name + "conv3", stage_planes(options_, stage) * kExpansion, 1, 1);
    batch_norm(name + "bn3");
    const int64_t output = channels_;
    std::tie(channels_, side_) = input;
    shortcut(name + "downsample", output, stride);
  }

  // From the block's input to the shape of its output.
  void shortcut(const std::string& name, int64_t output, int64_t stride) {
    const bool changes = channels_ != output || stride != 1;
    if (!changes && options_.shortcut != Shortcut::kC) return;
    if (options_.shortcut == Shortcut::kA) {
      add({name, LayerKind::kZeroPad, channels_, output, 1, stride, 1, side_after(1, stride)});
      return;
    }
    convolution(name + ".0", output, 1, stride);
    batch_norm(name + ".1");
  }

  void classifier() {
    add({"avgpool", LayerKind::kAveragePool, channels_, channels_, side_, 1, 1, 1});
    add({"fc", LayerKind::kLinear, channels_, options_.classes});
  }

  void convolution(const std::string& name, int64_t out, int64_t kernel, int64_t stride,
                   int64_t groups = 1) {
    add({name, LayerKind::kConvolution, channels_, out, kernel, stride, groups,
         side_after(kernel, stride)});
  }

  void batch_norm(const std::string& name) {
    add({name, LayerKind::kBatchNorm, channels_, channels_, 1, 1, 1, side_});
  }

  int64_t side_after(int64_t kernel, int64_t stride) const {
    return (side_ + 2 * (kernel / 2) - kernel) / stride + 1;
  }

  void add(LayerShape layer) {
    channels_ = layer.out_channels;
    side_ = layer.output_side;
    layer.stage = stage_;
    layers_.push_back(std::move(layer));
  }

  const ModelOptions options_;
  std::vector<LayerShape> layers_;
  int64_t channels_;
  int64_t side_;
  int64_t stage_ = 0;  // of LayerShape
};

bool is_shortcut(const LayerShape& layer) {
  return layer.name.find("downsample") != std::string::npos;
}

// Bytes of the layer's output that backward needs. The shortcut's last output only goes into the
// addition, which needs neither operand; the classifier's is the loss's concern.
int64_t kept_bytes(const LayerShape& layer) {
  const int64_t elements = layer.output_elements();
  switch (layer.kind) {
    case LayerKind::kZeroPad:
    case LayerKind::kLinear:
      return 0;
    case LayerKind::kBatchNorm:
      return is_shortcut(layer) ? 0 : elements * kFloatBytes;
    case LayerKind::kMaxPool:
      return elements * (kFloatBytes + kPoolIndexBytes);
    default:
      return elements * kFloatBytes;
  }
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
  switch (kind) {
    case LayerKind::kConvolution:
      return in_channels / groups * out_channels * kernel * kernel;
    case LayerKind::kBatchNorm:
      return 2 * out_channels;
    case LayerKind::kLinear:
      return in_channels * out_channels + out_channels;
    default:
      return 0;
  }
}

int64_t LayerShape::parameter_tensors() const {
  if (kind == LayerKind::kConvolution) return 1;
  return kind == LayerKind::kBatchNorm || kind == LayerKind::kLinear ? 2 : 0;
}

int64_t LayerShape::multiply_adds() const {
  if (kind == LayerKind::kLinear) return in_channels * out_channels;
  return kind == LayerKind::kConvolution ? parameters() * output_side * output_side : 0;
}

int64_t LayerShape::output_elements() const {
  return out_channels * output_side * output_side;
}

std::vector<LayerShape> layer_shapes(const ModelOptions& options, int64_t image_size) {
  if (options.classes < 1) {
    throw ConfigError("model.classes", "the number of classes is not known",
                      "set model.classes or name the data set");
  }
  if (image_size < 1) {
    throw ConfigError("data.size", std::to_string(image_size) + " is not an image size",
                      "use a positive number of pixels");
  }
  check_recompute_stages(options);
  return LayerWalk(resolve_defaults(options), image_size).walk();
}

Cost model_cost(const ModelOptions& options, int64_t image_size) {
  Cost cost;
  double multiply_adds = 0;
  const std::vector<LayerShape> layers = layer_shapes(options, image_size);
  for (const LayerShape& layer : layers) {
    cost.parameters += layer.parameters();
    cost.parameter_tensors += layer.parameter_tensors();
    if (layer.kind == LayerKind::kBatchNorm) cost.buffer_tensors += 3;
    multiply_adds += static_cast<double>(layer.multiply_adds());
  }
  cost.activation_bytes = peak_activation_bytes(
      layers, kImageChannels * image_size * image_size * kFloatBytes, options.recompute_stages);
  cost.gradient_bytes = cost.parameters * kFloatBytes;
  cost.gmac = multiply_adds / 1e9;
  return cost;
}

}  // namespace resnext
