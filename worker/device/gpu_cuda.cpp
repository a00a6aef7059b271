// For builds with CUDA.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include "comm/common/error.h"
#include "worker/device/gpu.h"
#include "worker/input/pixels_cuda.h"

namespace resnext {
namespace {

cudaStream_t current_stream() {
  return c10::cuda::getCurrentCUDAStream().stream();
}

class CapturedGraph final : public GpuGraph {
 public:
  explicit CapturedGraph(GpuMemoryPool pool) : pool_(pool.first, pool.second) {}

  // Thread-local: the watchdog and the loader's threads may go on calling CUDA meanwhile.
  void capture(const std::function<void()>& work) override {
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    try {
      graph_.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
      work();
    } catch (...) {
      abandon();
      throw;
    }
    try {
      graph_.capture_end();
    } catch (...) {
      leave_pool();
      throw;
    }
  }

  void replay() override { graph_.replay(); }

 private:
  void abandon() noexcept {
    try {
      graph_.capture_end();
    } catch (...) {
      leave_pool();
    }
  }

  // Of a capture that was broken LibTorch's graph does not tell the allocators that it has ended.
  void leave_pool() noexcept {
    const auto device = c10::cuda::current_device();
    const auto quietly = [](const auto& call) {
      try {
        call();
      } catch (...) {  // had been left already
      }
    };
    using namespace c10::cuda;
    quietly([&] {
      CUDACachingAllocator::endAllocateToPool(device, pool_);
      CUDACachingAllocator::releasePool(device, pool_);
    });
    quietly([&] {
      at::HostAllocator* host = at::getHostAllocator(at::kCUDA);
      host->end_allocate_to_pool(pool_);
      host->release_pool(pool_);
    });
    cudaGetLastError();
  }

  c10::MempoolId_t pool_;
  at::cuda::CUDAGraph graph_;
};

class EventMoment final : public GpuMoment {
 public:
  EventMoment() { C10_CUDA_CHECK(cudaEventCreate(&event_)); }
  ~EventMoment() override { cudaEventDestroy(event_); }
  EventMoment(const EventMoment&) = delete;
  EventMoment& operator=(const EventMoment&) = delete;

  void record() override {
    const cudaStream_t stream = current_stream();
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    C10_CUDA_CHECK(cudaStreamIsCapturing(stream, &status));
    const bool captured = status == cudaStreamCaptureStatusActive;
    C10_CUDA_CHECK(cudaEventRecordWithFlags(
        event_, stream, captured ? cudaEventRecordExternal : cudaEventRecordDefault));
  }

  double ms_since(const GpuMoment& earlier) const override {
    float ms = 0;
    C10_CUDA_CHECK(cudaEventSynchronize(event_));
    const cudaEvent_t from = dynamic_cast<const EventMoment&>(earlier).event_;
    C10_CUDA_CHECK(cudaEventElapsedTime(&ms, from, event_));
    return ms;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

PixelType pixel_type(const at::Tensor& images) {
  switch (images.scalar_type()) {
    case at::kHalf:
      return PixelType::kFloat16;
    case at::kBFloat16:
      return PixelType::kBfloat16;
    case at::kFloat:
      return PixelType::kFloat32;
    default:
      return PixelType::kFloat64;
  }
}

}  // namespace

GpuProperties gpu_properties(int index) {
  const cudaDeviceProp* properties =
      at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
  return {properties->name, static_cast<int64_t>(properties->totalGlobalMem)};
}

int64_t gpu_peak_bytes(int index) {
  const auto stats =
      c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
  return stats.reserved_bytes[0].peak;
}

ForbidSynchronisation::ForbidSynchronisation() {
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
}

ForbidSynchronisation::~ForbidSynchronisation() {
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
}

void normalise_on_gpu(const at::Tensor& bytes, const at::Tensor& table, at::Tensor& images) {
  PixelLaunch launch;
  launch.type = pixel_type(images);
  launch.bytes = bytes.const_data_ptr<uint8_t>();
  launch.pixels = bytes.numel() / 3;
  launch.plane = bytes.size(1) * bytes.size(2);
  launch.channels_last = images.is_contiguous(at::MemoryFormat::ChannelsLast);
  launch.table = table.const_data_ptr();
  launch.images = images.mutable_data_ptr();
  launch.stream = current_stream();
  launch_normalise(launch);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

GpuMemoryPool make_gpu_memory_pool() {
  const c10::MempoolId_t pool = at::cuda::graph_pool_handle();
  return {pool.first, pool.second};
}

std::unique_ptr<GpuGraph> make_gpu_graph(GpuMemoryPool pool) {
  return std::make_unique<CapturedGraph>(pool);
}

std::unique_ptr<GpuMoment> make_gpu_moment() {
  return std::make_unique<EventMoment>();
}

}  // namespace resnext
