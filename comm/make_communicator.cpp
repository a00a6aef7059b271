// SPDX-License-Identifier: BSD-3-Clause
#include "comm/make_communicator.h"

#include "comm/common/error.h"
#include "comm/mpi_communicator.h"
#include "comm/single_process_communicator.h"

namespace resnext {

std::unique_ptr<Communicator> make_communicator(const CommOptions& options,
                                                const MpiEnvironment& environment) {
  if (options.backend == Backend::kNccl) {
    throw ConfigError("comm.backend", "nccl is not in this build", "set it to auto or mpi");
  }
  if (options.backend == Backend::kAuto && environment.size() == 1) {
    return std::make_unique<SingleProcessCommunicator>();
  }
  return std::make_unique<MpiCommunicator>(options.timeout_s);
}

}  // namespace resnext
