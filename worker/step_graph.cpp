// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step_graph.h"

#include <spdlog/spdlog.h>

#include "comm/common/error.h"
#include "worker/gpu.h"

namespace resnext {

struct StepGraph::Graphs {
  GpuMemoryPool pool = make_gpu_memory_pool();
  std::map<int, std::unique_ptr<GpuGraph>> of_part;
};

StepGraph::StepGraph(c10::Device device, std::string eager) {
  if (!device.is_cuda()) return;
  if (eager.empty()) {
    graphs_ = std::make_unique<Graphs>();
  } else {
    spdlog::info("the step runs without a CUDA graph: {}", eager);
  }
}

StepGraph::~StepGraph() = default;

void StepGraph::run(int part, const std::function<void()>& work) {
  replayed_ = false;
  if (!graphs_ || runs_[part]++ < kWarmUp || !capture(part, work)) return work();
  graphs_->of_part[part]->replay();
  replayed_ = true;
}

// Nothing that was captured has been done, so `work` can be started anew when this fails.
bool StepGraph::capture(int part, const std::function<void()>& work) {
  if (graphs_->of_part.contains(part)) return true;
  auto graph = make_gpu_graph(graphs_->pool);
  try {
    graph->capture(work);
    graphs_->of_part[part] = std::move(graph);
    return true;
  } catch (const Error&) {  // a lost peer, not a matter of graphs
    throw;
  } catch (const std::exception& error) {
    const std::string text = error.what();
    spdlog::warn("the step runs without a CUDA graph: {}", text.substr(0, text.find('\n')));
    graphs_.reset();
    return false;
  }
}

}  // namespace resnext
