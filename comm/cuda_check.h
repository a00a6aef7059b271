// Turns a CUDA error code into an Error that names the call and CUDA's own text.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cuda_runtime_api.h>

namespace resnext {

// Throws Error when `code` is not cudaSuccess: 64 when the GPU's memory is full, else 70.
void check_cuda(cudaError_t code, const char* call);

}  // namespace resnext
