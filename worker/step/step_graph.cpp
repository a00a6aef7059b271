// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/step_graph.h"

#include <spdlog/spdlog.h>

#include "comm/common/error.h"

namespace resnext {

void StepGraph::run(int part, const std::function<void()>& work) {
  replayed_ = make_ && steps_ > kWarmUp && capture(part, work);
  if (replayed_) {
    graphs_[part]->replay();
  } else {
    work();
  }
}

// Nothing that was captured has been done, so `work` can be started anew when this fails.
bool StepGraph::capture(int part, const std::function<void()>& work) {
  if (graphs_.contains(part)) return true;
  std::unique_ptr<GpuGraph> graph = try_capture(work);
  if (agree_(graph != nullptr)) {
    graphs_[part] = std::move(graph);
    return true;
  }
  if (graph) spdlog::warn("the step runs without a CUDA graph: another rank could not capture it");
  make_ = {};
  graphs_.clear();
  return false;
}

// Null when the capture failed, which is said.
std::unique_ptr<GpuGraph> StepGraph::try_capture(const std::function<void()>& work) const {
  std::unique_ptr<GpuGraph> graph = make_();
  try {
    graph->capture(work);
    return graph;
  } catch (const CommError&) {  // a lost peer is not a matter of graphs
    throw;
  } catch (const std::exception& error) {
    const std::string text = error.what();
    spdlog::warn("the step runs without a CUDA graph: {}", text.substr(0, text.find('\n')));
    return nullptr;
  }
}

StepGraph::Maker graphs_of(c10::Device device, const std::string& eager) {
  if (!device.is_cuda()) return {};
  if (!eager.empty()) {
    spdlog::info("the step runs without a CUDA graph: {}", eager);
    return {};
  }
  return [pool = make_gpu_memory_pool()] { return make_gpu_graph(pool); };
}

}  // namespace resnext
