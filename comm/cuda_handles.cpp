// SPDX-License-Identifier: BSD-3-Clause
#include "comm/cuda_handles.h"

#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"
#include "comm/cuda_check.h"

namespace resnext {

void check_cuda(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  if (code == cudaErrorMemoryAllocation) {
    throw out_of_gpu_memory(fmt::format("{}: {}", call, cudaGetErrorString(code)));
  }
  throw Error(ExitCode::kInternal, call,
              fmt::format("{} ({})", cudaGetErrorString(code), cudaGetErrorName(code)),
              "look for Xid lines of the driver in dmesg; where there are none, run again under "
              "compute-sanitizer");
}

CudaStream::CudaStream() {
  int lowest = 0, highest = 0;
  check_cuda(cudaDeviceGetStreamPriorityRange(&lowest, &highest),
             "cudaDeviceGetStreamPriorityRange");
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, highest),
             "cudaStreamCreateWithPriority");
  handle_.reset(stream);
}

CudaEvent::CudaEvent() {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  handle_.reset(event);
}

void CudaEvent::record(cudaStream_t stream) {
  check_cuda(cudaEventRecord(handle_.get(), stream), "cudaEventRecord");
}

void CudaEvent::hold_up(cudaStream_t stream) const {
  check_cuda(cudaStreamWaitEvent(stream, handle_.get(), 0), "cudaStreamWaitEvent");
}

bool CudaEvent::completed() const {
  const cudaError_t state = cudaEventQuery(handle_.get());
  if (state == cudaErrorNotReady) return false;
  check_cuda(state, "cudaEventQuery");
  return true;
}

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check_cuda(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace resnext
