// SPDX-License-Identifier: BSD-3-Clause
#include "comm/make_communicator.h"

#include "comm/mpi_communicator.h"
#include "comm/single_process_communicator.h"

namespace resnext {

std::unique_ptr<Communicator> make_communicator(const CommOptions& options,
                                                const MpiEnvironment& environment,
                                                const std::optional<CudaDevice>& device) {
  const bool named = options.backend != Backend::kAuto;
  if (!named && environment.size() == 1) return std::make_unique<SingleProcessCommunicator>();
  if (device) return make_nccl_communicator(options, environment, *device);
  if (options.backend == Backend::kNccl) {
    return make_nccl_communicator(options, environment,
                                  {select_cuda_device(options.backend, environment).value(), {}});
  }
  return std::make_unique<MpiCommunicator>(options.timeout_s);
}

}  // namespace resnext
