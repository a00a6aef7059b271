// This rank's GPU: which one, and the stream that its training thread works on.
//
// Needs no header of CUDA, so that callers are the same in builds without it.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "comm/comm_options.h"
#include "comm/communicator.h"
#include "comm/mpi_environment.h"

struct CUstream_st;  // what a cudaStream_t points at

namespace resnext {

struct CudaDevice {
  int index = 0;
  // The stream that the calling thread gives its work to (of Torch:
  // c10::cuda::getCurrentCUDAStream().stream()); the legacy default stream if empty.
  std::function<CUstream_st*()> current_stream;
};

// Collective. Index of the GPU that this rank is to compute on, made the current one of this
// thread; nothing when the run computes on CPUs: backend mpi, or auto where a rank sees no GPU.
// Throws ConfigError, the same on every rank, when ranks lack a GPU or share one.
std::optional<int> select_cuda_device(Backend backend, const MpiEnvironment& environment);

// Collective. Communicator over NCCL on `device`. `environment` must outlive it.
std::unique_ptr<Communicator> make_nccl_communicator(const CommOptions& options,
                                                     const MpiEnvironment& environment,
                                                     const CudaDevice& device);

}  // namespace resnext
