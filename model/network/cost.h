// What a network costs before it is built: layers, parameters, multiply-adds, memory.
//
// Sums over the network's plan (no Torch), so that the launcher can plan with it. Forms B and C are
// the same function with the same counts; both are counted as form C, one grouped convolution.
// Local; pure functions. Throws ConfigError for options that no network has.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "model/model_options.h"
#include "model/network/plan.h"

namespace resnext {

// A layer of the plan at the size that an image has there. The average pool's kernel is its whole
// input.
struct LayerShape : PlannedLayer {
  int64_t input_side = 1;       // pixels, of its first input
  int64_t output_side = 1;      // pixels
  bool kept_for_later = false;  // backward needs its output

  int64_t parameters() const;
  int64_t parameter_tensors() const;
  int64_t multiply_adds() const;    // per image; convolutions and the linear layer only
  int64_t input_elements() const;   // per image, of its first input
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

// Every layer of the plan, form B's as form C's, at its size. As layer_shapes().
std::vector<LayerShape> all_layer_shapes(const ModelOptions& options, int64_t image_size);

// The plan's layers that own weights or change the shape, in its order, for square images with a
// side of `image_size` pixels. `options.classes` must be known.
std::vector<LayerShape> layer_shapes(const ModelOptions& options, int64_t image_size);

// The sums over layer_shapes().
Cost model_cost(const ModelOptions& options, int64_t image_size);

}  // namespace resnext
