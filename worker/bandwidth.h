// How fast gradients can be summed between the ranks of a run: for preflight checks.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "comm/communicator.h"

namespace resnext {

// COLLECTIVE. Sums a bucket of 25 MiB in the device's memory over all ranks, checks the result
// against its closed form, and describes the median of ten: time, bytes a second, and the bus
// bandwidth of nccl-tests (doc/PERFORMANCE.md: bytes * 2 (n - 1) / n a second). Throws CommError
// when the sum is wrong or a rank does not answer in time.
std::string measure_all_reduce(Communicator& communicator, c10::Device device);

}  // namespace resnext
