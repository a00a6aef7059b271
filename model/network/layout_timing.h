// How long the network's grouped convolutions take in each memory layout on this device.
//
// With some GPUs, types and versions of cuDNN grouped convolutions are several times slower in
// channels-last order (github.com/pytorch/pytorch issue 34977), which nothing but a measurement
// tells.
// Local. Forms no graph and draws no random numbers.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_options.h"
#include "model/network/cost.h"

namespace resnext {

// Forward and backward of one layer with one micro-batch, milliseconds: medians of a few runs.
struct LayoutTiming {
  LayerShape layer;    // the first of its shape
  int64_t layers = 0;  // of the network that have it
  double channels_last_ms = 0;
  double contiguous_ms = 0;
};

// Each distinct grouped 3x3 convolution, in forward order; none in form B or with one group.
// `batch` images, activations and weights of `type`. Waits for the device. Memory: the largest
// layer's activations and gradients, in both layouts in turn. Throws ConfigError as layer_shapes().
std::vector<LayoutTiming> time_grouped_convolutions(const ModelOptions& options, int64_t batch,
                                                    int64_t image_size, at::Device device,
                                                    at::ScalarType type);

// Empty when channels-last is not slower over all layers; else a sentence for the user.
std::string slower_layout_warning(const std::vector<LayoutTiming>& timings);

}  // namespace resnext
