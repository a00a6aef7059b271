// SPDX-License-Identifier: BSD-3-Clause
#include "worker/bandwidth.h"

#include <ATen/ops/empty.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"

namespace resnext {
namespace {

constexpr int kWarmUp = 2;
constexpr int kRuns = 10;

// Milliseconds of one sum of ones; reading a value back waits for the device.
double run_once(Communicator& communicator, at::Tensor& values) {
  values.fill_(1);
  values[0].item<float>();
  communicator.barrier();
  const auto start = std::chrono::steady_clock::now();
  communicator.all_reduce(as_buffer(values), ReduceOp::kSum);
  values[0].item<float>();
  const auto end = std::chrono::steady_clock::now();
  if (values.ne(communicator.size()).any().item<bool>()) {
    throw CommError("all_reduce", "the sum over ranks is wrong",
                    "check the memory and the network of these hosts");
  }
  return std::chrono::duration<double, std::milli>(end - start).count();
}

double gb_per_s(const AllReduceTime& time) {
  return static_cast<double>(time.bytes) / time.ms / 1e6;
}

double bus_gb_per_s(const AllReduceTime& time) {
  return gb_per_s(time) * 2 * (time.ranks - 1) / time.ranks;
}

}  // namespace

AllReduceTime time_all_reduce(Communicator& communicator, c10::Device device, int64_t bytes) {
  const auto count = bytes / static_cast<int64_t>(sizeof(float));
  at::Tensor values = at::empty({count}, at::TensorOptions().dtype(at::kFloat).device(device));
  std::vector<double> ms;
  for (int run = -kWarmUp; run < kRuns; ++run) {
    const double time = run_once(communicator, values);
    if (run >= 0) ms.push_back(time);
  }
  std::nth_element(ms.begin(), ms.begin() + kRuns / 2, ms.end());
  return {bytes, std::max(ms[kRuns / 2], 1e-6), communicator.size(),
          std::string(communicator.name())};
}

std::string to_text(const AllReduceTime& time) {
  return fmt::format(
      "all_reduce of {:g} MiB over {} ranks ({}): {:.2f} ms, {:.2f} GB/s, bus {:.2f} GB/s",
      static_cast<double>(time.bytes) / (1024 * 1024), time.ranks, time.backend, time.ms,
      gb_per_s(time), bus_gb_per_s(time));
}

std::string to_json_line(const AllReduceTime& time) {
  return nlohmann::ordered_json{{"bytes", time.bytes},
                                {"ranks", time.ranks},
                                {"backend", time.backend},
                                {"ms", time.ms},
                                {"bus_gb_per_s", bus_gb_per_s(time)}}
      .dump();
}

}  // namespace resnext
