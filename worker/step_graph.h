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

namespace resnext {

class GpuGraph;

class StepGraph {
 public:
  // Runs of a part before it is captured: libraries choose their algorithms and reserve their
  // memory, and the reducer learns its buckets.
  static constexpr int64_t kWarmUp = 3;

  // `eager`: why graphs are not to be used; empty: use them.
  StepGraph(c10::Device device, std::string eager);
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  // Runs one part; `part` tells the parts of a step apart. When a capture fails, says why in one
  // line and runs everything as it is from then on.
  void run(int part, const std::function<void()>& work);
  // True when the last run() came from a graph.
  bool replayed() const { return replayed_; }

 private:
  struct Graphs;
  bool capture(int part, const std::function<void()>& work);

  std::unique_ptr<Graphs> graphs_;  // null: everything runs as it is
  std::map<int, int64_t> runs_;     // by part
  bool replayed_ = false;
};

}  // namespace resnext
