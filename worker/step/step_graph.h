// Runs parts of the training step: as they are, or, on a GPU after a warm-up, from CUDA graphs.
//
// A graph costs the host one launch instead of thousands. What a part does to the device must be
// the same each time: fixed memory, and every number that changes read from the device.
// Local, but the parts may contain collectives; belongs to the training thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "worker/device/gpu.h"

namespace resnext {

class StepGraph {
 public:
  // Gives an empty graph.
  using Maker = std::function<std::unique_ptr<GpuGraph>()>;

  // Steps before any part is captured: libraries choose their algorithms and reserve their memory,
  // and gradients and weights find their last place in memory.
  static constexpr int64_t kWarmUp = 3;

  // Without `make` everything runs as it is.
  explicit StepGraph(Maker make) : make_(std::move(make)) {}

  // Call before the parts of each step.
  void begin_step() { ++steps_; }
  // Runs one part; `part` tells the parts of a step apart. When a capture fails, says why in one
  // line and runs everything as it is from then on. Throws what `work` throws, and CommError of a
  // capture.
  void run(int part, const std::function<void()>& work);
  // True when the last run() came from a graph.
  bool replayed() const { return replayed_; }

 private:
  bool capture(int part, const std::function<void()>& work);

  Maker make_;
  int64_t steps_ = 0;
  std::map<int, std::unique_ptr<GpuGraph>> graphs_;
  bool replayed_ = false;
};

// Graphs of a GPU, in memory that they share; empty on the CPU. `eager`: why graphs are not to be
// used, which is said in one line; empty: use them.
StepGraph::Maker graphs_of(c10::Device device, const std::string& eager);

}  // namespace resnext
