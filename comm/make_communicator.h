// Chooses and starts the communicator that the options and the machine call for.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "comm/comm_options.h"
#include "comm/communicator.h"
#include "comm/mpi_environment.h"

namespace resnext {

// Collective. A world of one needs no backend; otherwise MPI in host memory. Throws ConfigError
// when the backend asked for is not in this build.
std::unique_ptr<Communicator> make_communicator(const CommOptions& options,
                                                const MpiEnvironment& environment);

}  // namespace resnext
