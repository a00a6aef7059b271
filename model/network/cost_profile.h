// What each layer of the network has to do in a training step: arithmetic and memory traffic, and
// how long a machine needs for it at least.
//
// The traffic is that of this program's operations, each reading its inputs from memory once and
// writing its outputs once: a convolution's backward is two such operations, for its input's and
// its weights' gradients; BN takes its addition and ReLU along and needs two passes each way
// (model/norm/fused_norm.h). The time of an operation is at least the longer of arithmetic over the
// matrix rate and bytes over the memory rate: the roofline of Williams, Waterman and Patterson
// ("Roofline: an insightful visual performance model for multicore architectures", CACM 52(4),
// 2009). Pure functions of the plan; local; throw as cost.h.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/network/cost.h"

namespace resnext {

struct Work {
  double operations = 0;  // two of each multiply-add
  double bytes = 0;

  Work& operator+=(const Work& other);
};

// What one machine does in a second.
struct MachineRates {
  double operations = 0;
  double bytes = 0;
};

// Seconds.
double least_time(const Work& work, const MachineRates& rates);

struct LayerWork {
  std::string name;
  LayerKind kind;
  std::string_view label;  // label_of()
  Work forward, backward;
  std::vector<int64_t> parameters;  // elements of each parameter tensor, in state_dict order
};

// Of what kind a layer is for people who ask where the time goes: "1x1", "grouped 3x3", "3x3",
// "stem" (the first convolution), "batch norm", "pool", "linear", "other".
std::string_view label_of(const PlannedLayer& layer);

// The plan's layers in forward order, for `images` at once whose activations, and the weights that
// multiply them, have `element_bytes`.
std::vector<LayerWork> layer_work(const ModelOptions& options, int64_t image_size, int64_t images,
                                  int64_t element_bytes);

}  // namespace resnext
