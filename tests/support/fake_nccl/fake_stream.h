// A stream of the fake: a thread that carries out work in the order in which it was given.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace resnext::test {

// Work for `stream` (null: the legacy stream). Returns at once.
void enqueue(cudaStream_t stream, std::function<void()> work);

}  // namespace resnext::test
