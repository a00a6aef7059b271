// Chooses and starts the communicator that the options and the machine call for.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>

#include "comm/comm_options.h"
#include "comm/communicator.h"
#include "comm/cuda_device.h"
#include "comm/mpi_environment.h"

namespace resnext {

// Collective. NCCL on `device`, which select_cuda_device() has found; without one, MPI in host
// memory. A world of one needs neither unless the options name one. Backend kNccl without `device`:
// selects one itself. Throws ConfigError when the backend asked for cannot be had.
// `environment` must outlive the communicator.
std::unique_ptr<Communicator> make_communicator(const CommOptions& options,
                                                const MpiEnvironment& environment,
                                                const std::optional<CudaDevice>& device = {});

}  // namespace resnext
