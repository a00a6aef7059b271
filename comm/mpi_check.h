// Turns an MPI error code into a CommError that names the call and MPI's own text.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace resnext {

// Throws CommError when `code` is not MPI_SUCCESS.
void check_mpi(int code, const char* call);

}  // namespace resnext
