// SPDX-License-Identifier: BSD-3-Clause
#include "worker/device/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sys/resource.h>

#include "worker/device/gpu.h"

namespace resnext {

using c10::impl::VirtualGuardImpl;

ComputeDevice::ComputeDevice(std::optional<int> gpu)
    : device_(gpu ? c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(*gpu))
                  : c10::Device(c10::kCPU)) {
  if (!is_gpu()) return;
  at::globalContext().lazyInitDevice(c10::kCUDA);
  const VirtualGuardImpl guard(c10::kCUDA);
  guard.setDevice(device_);
  guard.exchangeStream(guard.getNewStream(device_));
  const GpuProperties properties = gpu_properties(*gpu);
  name_ = properties.name;
  memory_bytes_ = properties.memory_bytes;
}

std::optional<CudaDevice> ComputeDevice::for_communicator() const {
  if (!is_gpu()) return std::nullopt;
  const c10::Device device = device_;
  return CudaDevice{
      device.index(), [device] {
        const VirtualGuardImpl guard(c10::kCUDA);
        return static_cast<CUstream_st*>(guard.getStreamNativeHandle(guard.getStream(device)));
      }};
}

double ComputeDevice::peak_memory_mib() const {
  constexpr double kMiB = 1024 * 1024;
  if (is_gpu()) return static_cast<double>(gpu_peak_bytes(device_.index())) / kMiB;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / kMiB;
}

}  // namespace resnext
