// What only builds with CUDA can do; in others (no_gpu.cpp) there is never a GPU to call these for.
//
// Local. Work goes to the current stream of the calling thread. A CUDA error is an Error (70).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace resnext {

struct GpuProperties {
  std::string name;
  int64_t memory_bytes = 0;
};
GpuProperties gpu_properties(int index);
// Most bytes of this GPU that LibTorch has reserved at a time, CUDA's own not counted.
int64_t gpu_peak_bytes(int index);

// While one lives, calls of LibTorch that make the host wait for the device throw: for tests and
// benchmarks.
class ForbidSynchronisation {
 public:
  ForbidSynchronisation();
  ~ForbidSynchronisation();
  ForbidSynchronisation(const ForbidSynchronisation&) = delete;
  ForbidSynchronisation& operator=(const ForbidSynchronisation&) = delete;
};

// PixelNormaliser's work: bytes uint8 [N, H, W, 3] -> images [N, 3, H, W]; table [3, 256].
void normalise_on_gpu(const at::Tensor& bytes, const at::Tensor& table, at::Tensor& images);

// A CUDA graph: the device's work of one call, to be given to it again at the cost of one launch.
class GpuGraph {
 public:
  virtual ~GpuGraph() = default;
  // Records what `work` gives to the device instead of doing it. Memory that it allocates and
  // frees stays with the graph; cached memory that is free is given back before, to make room.
  // Throws what `work` throws, or what CUDA finds wrong; the graph is then of no use.
  virtual void capture(const std::function<void()>& work) = 0;
  virtual void replay() = 0;
};
// Graphs that are never replayed at the same time share their memory when made with the same pool.
using GpuMemoryPool = std::pair<uint64_t, uint64_t>;
GpuMemoryPool make_gpu_memory_pool();
std::unique_ptr<GpuGraph> make_gpu_graph(GpuMemoryPool pool);

// A moment on the current stream, of which the time is known once the device has passed it. May be
// recorded in a graph: then each replay records it.
class GpuMoment {
 public:
  virtual ~GpuMoment() = default;
  virtual void record() = 0;
  // Milliseconds from `earlier` to this; both were recorded. Waits until the device has passed.
  virtual double ms_since(const GpuMoment& earlier) const = 0;
};
std::unique_ptr<GpuMoment> make_gpu_moment();

}  // namespace resnext
