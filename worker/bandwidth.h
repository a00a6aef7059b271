// How fast gradients can be summed between the ranks of a run: for preflight checks.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

#include "comm/communicator.h"

namespace resnext {

struct AllReduceTime {
  int64_t bytes = 0;
  double ms = 0;
  int ranks = 1;
  std::string backend;
};

// COLLECTIVE. Sums `bytes` of float32 in the device's memory over all ranks, checks the result
// against its closed form, and returns the median of ten. Throws CommError when the sum is wrong or
// a rank does not answer in time.
AllReduceTime time_all_reduce(Communicator& communicator, c10::Device device, int64_t bytes);

// Time, bytes a second, and the bus bandwidth of nccl-tests (doc/PERFORMANCE.md: bytes * 2 (n - 1)
// / n a second): for people, or as a JSON object. One line.
std::string to_text(const AllReduceTime& time);
std::string to_json_line(const AllReduceTime& time);

}  // namespace resnext
