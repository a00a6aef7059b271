// The MPI environment of a test program that is run on several ranks (see mpi_main.cpp).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/mpi_environment.h"

namespace resnext::test {

const MpiEnvironment& environment();

}  // namespace resnext::test
