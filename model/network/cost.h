// What a network costs before it is built: layers, parameters, multiply-adds, memory.
//
// Works from the options alone (no Torch), so that the launcher can plan with it. Forms B and C are
// the same function with the same counts; both are described as form C, one grouped convolution.
// Local; pure functions. Layer names are torchvision's (models/resnet.py). Throws ConfigError for
// options that no network has.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_options.h"

namespace resnext {

// Layers that own weights or change the shape. ReLU and the addition do neither. kZeroPad is
// shortcut A: subsampling, then channels of zeros.
enum class LayerKind { kConvolution, kBatchNorm, kMaxPool, kZeroPad, kAveragePool, kLinear };

// One layer. Convolutions have no bias and are padded by kernel / 2; the linear layer has a bias.
// The average pool's kernel is its whole input.
struct LayerShape {
  std::string name;  // "layer1.0.conv2"
  LayerKind kind = LayerKind::kConvolution;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t groups = 1;
  int64_t output_side = 1;  // pixels
  int64_t stage = 0;        // 1, 2, ... as in the name; 0: stem or classifier

  int64_t parameters() const;
  int64_t parameter_tensors() const;
  int64_t multiply_adds() const;    // per image; convolutions and the linear layer only
  int64_t output_elements() const;  // per image
};

struct Cost {
  int64_t parameters = 0;
  int64_t parameter_tensors = 0;
  int64_t buffer_tensors = 0;  // BN running mean, running variance and batch counter
  int64_t gradient_bytes = 0;  // float32
  double gmac = 0;             // 1e9 multiply-adds of the forward pass of one image

  // Estimate of what the backward pass of one image needs from the forward pass, float32: the input
  // of each convolution, BN, pool and of the linear layer, with ReLU and the addition in place. Of
  // recomputed stages only their input, but while one runs again what it then keeps: the largest
  // sum at any time counts. When a stage runs again, what later layers kept has been released.
  int64_t activation_bytes = 0;
};

// All layers in forward order (a block's downsample after its last BN). `options.classes` must be
// known; stem defaults are filled in. `image_size` is the side of the square input, pixels.
std::vector<LayerShape> layer_shapes(const ModelOptions& options, int64_t image_size);

// The sums over layer_shapes().
Cost model_cost(const ModelOptions& options, int64_t image_size);

}  // namespace resnext
