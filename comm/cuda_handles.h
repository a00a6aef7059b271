// Owners of a CUDA stream and a CUDA event.
//
// Both belong to the device that is current when they are made. Constructors throw Error (70).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <type_traits>

namespace resnext {

// A stream of the highest priority that never waits for the legacy default stream.
class CudaStream {
 public:
  CudaStream();
  cudaStream_t get() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Destroy> handle_;
};

// An event without timing. May be recorded again and again; who waits for it waits for what was
// recorded last when the wait was asked for.
class CudaEvent {
 public:
  CudaEvent();
  void record(cudaStream_t stream);
  // Makes what follows on `stream` wait for the event; the host goes on.
  void hold_up(cudaStream_t stream) const;
  // Whether what was recorded has completed.
  bool completed() const;

 private:
  struct Destroy {
    void operator()(cudaEvent_t event) const noexcept { cudaEventDestroy(event); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Destroy> handle_;
};

// Whether work given to `stream` goes into a CUDA graph instead of being carried out.
bool is_capturing(cudaStream_t stream);

}  // namespace resnext
