// The device that a rank computes on: the CPU, or one GPU with a stream of its own.
//
// Local; belongs to the training thread. Outlives everything that computes.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>

#include "comm/cuda_device.h"

namespace resnext {

class ComputeDevice {
 public:
  // The GPU of this index (as select_cuda_device() gives it), else the CPU. Of a GPU, makes a
  // stream that is not the default one the current one of this thread: only such can be captured in
  // a graph.
  explicit ComputeDevice(std::optional<int> gpu);

  c10::Device torch() const { return device_; }
  bool is_gpu() const { return device_.is_cuda(); }
  const std::string& name() const { return name_; }  // "cpu", or the GPU's
  // All of a GPU's memory, bytes; 0: not known to be limited.
  int64_t memory_bytes() const { return memory_bytes_; }
  // For make_communicator(); nothing on the CPU.
  std::optional<CudaDevice> for_communicator() const;
  // The most memory that was in use so far, MiB: a GPU's by LibTorch, else resident of the process.
  double peak_memory_mib() const;

 private:
  c10::Device device_;
  std::string name_ = "cpu";
  int64_t memory_bytes_ = 0;
};

}  // namespace resnext
