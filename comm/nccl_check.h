// Turns an NCCL result into a CommError that names the call, NCCL's text and its last error.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nccl.h>

namespace resnext {

// Throws CommError unless `result` is ncclSuccess or ncclInProgress.
void check_nccl(ncclResult_t result, const char* call, ncclComm_t comm);

// Throws ConfigError when the NCCL that was loaded is of another major version than the header
// that this was built with: its structures and calls may differ. Returns the version, 22809 for
// 2.28.9.
int check_nccl_version();

}  // namespace resnext
