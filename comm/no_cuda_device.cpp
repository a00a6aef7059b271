// In builds without CUDA: there is never a GPU.
// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/error.h"
#include "comm/cuda_device.h"

namespace resnext {
namespace {

[[noreturn]] void refuse() {
  throw ConfigError("comm.backend", "nccl is not in this build",
                    "set it to auto or mpi, or configure the build with -DRESNEXT_CUDA=ON");
}

}  // namespace

std::optional<int> select_cuda_device(Backend backend, const MpiEnvironment&) {
  if (backend == Backend::kNccl) refuse();
  return std::nullopt;
}

std::unique_ptr<Communicator> make_nccl_communicator(const CommOptions&, const MpiEnvironment&,
                                                     const CudaDevice&) {
  refuse();
}

}  // namespace resnext
