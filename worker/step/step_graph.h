// Runs parts of the training step: as they are, or, on a GPU after a warm-up, from CUDA graphs.
//
// A graph costs the host one launch instead of thousands. What a part does to the device must be
// the same each time: fixed memory, and every number that changes read from the device.
// Collective, where `agree` is: all ranks run from graphs, or none does, as the collectives of a
// part that one rank replays and another runs as it is need not meet. The parts may contain
// collectives too. Belongs to the training thread.
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

  // Whether it is so on all ranks; collective.
  using Agreement = std::function<bool(bool mine)>;

  // Without `make`, which all ranks have or none, everything runs as it is.
  explicit StepGraph(
      Maker make, Agreement agree = [](bool mine) { return mine; })
      : make_(std::move(make)), agree_(std::move(agree)) {}

  // Call before the parts of each step.
  void begin_step() { ++steps_; }
  // The parts are other ones from here on: what was captured is forgotten, and captured anew after
  // a warm-up. On all ranks in the same step.
  void start_anew() {
    graphs_.clear();
    steps_ = 0;
  }
  // Runs one part; `part` tells the parts of a step apart. When a capture fails on any rank, all
  // run everything as it is from then on, and those where it failed say why in one line. Throws
  // what `work` throws, and CommError of a capture.
  void run(int part, const std::function<void()>& work);
  // True when the last run() came from a graph.
  bool replayed() const { return replayed_; }

 private:
  bool capture(int part, const std::function<void()>& work);
  std::unique_ptr<GpuGraph> try_capture(const std::function<void()>& work) const;

  Maker make_;
  Agreement agree_;
  int64_t steps_ = 0;
  std::map<int, std::unique_ptr<GpuGraph>> graphs_;
  bool replayed_ = false;
};

// Graphs of a GPU, in memory that they share; empty on the CPU. `eager`: why graphs are not to be
// used, which is said in one line; empty: use them.
StepGraph::Maker graphs_of(c10::Device device, const std::string& eager);

}  // namespace resnext
