// Graphs of cuDNN operations around one convolution, compiled for a device: cuDNN's graph API
// (cudnn_graph.h; docs.nvidia.com/deeplearning/cudnn, "Graph API"), through its C interface.
//
// cuDNN's C++ frontend is not used: it gives genstats the type of its input as the type to compute
// in (cudnn-frontend 1.32.0 node/genstats.h), which cuDNN 9.19 refuses for bfloat16, where it has
// float32. Activations are [N, C, H, W] in channels-last order, of `element`, as is the weight;
// everything of a channel is float32, as all arithmetic is. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace resnext::cudnn {

struct Problem {
  cudnnDataType_t element = CUDNN_DATA_BFLOAT16;
  int64_t images = 0, channels = 0, height = 0, width = 0;  // of the input
  int64_t outputs = 0, kernel = 1, stride = 1, padding = 0, groups = 1;

  auto operator<=>(const Problem&) const = default;
  int64_t out(int64_t side) const { return (side + 2 * padding - kernel) / stride + 1; }
};

// kOutputSums: output = input * weight, and the sums over its pixels of it and of its square.
// kGradientSums: of the input's gradient d, where input = relu((x - mean) * inverse * gamma +
// beta): values = d where that is positive, else 0, and the sums of values and of values * (x -
// mean).
enum class Fusion { kOutputSums, kGradientSums };

// Device addresses, 16-byte aligned; what a fusion does not name is not read.
struct Tensors {
  const void *input = nullptr, *weight = nullptr, *gradient = nullptr;  // gradient: the output's
  const void *x = nullptr, *mean = nullptr, *inverse = nullptr, *gamma = nullptr, *beta = nullptr;
  void* values = nullptr;
  void *first = nullptr, *second = nullptr;  // sums [channels of values]
};

// An engine of cuDNN that can do it.
class Plan {
 public:
  virtual ~Plan() = default;
  virtual int64_t workspace_bytes() const = 0;
  // Queued on the handle's stream. Throws Error (70) when cuDNN refuses.
  virtual void run(cudnnHandle_t handle, const Tensors& tensors, void* workspace) const = 0;
};

// The best by cuDNN's own judgement first, at most `most`; none where it has no engine. Compiling
// them takes seconds each.
std::vector<std::unique_ptr<Plan>> make_plans(cudnnHandle_t handle, Fusion fusion,
                                              const Problem& problem, size_t most);

// How many engines cuDNN offers on a device that need not be here, by its properties in JSON
// (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION; cuDNN from 9.11 on). Nothing is compiled.
size_t offered_engines(const std::string& device_properties, Fusion fusion, const Problem& problem);

}  // namespace resnext::cudnn
