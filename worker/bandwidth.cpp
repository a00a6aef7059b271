// SPDX-License-Identifier: BSD-3-Clause
#include "worker/bandwidth.h"

#include <ATen/ops/empty.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"

namespace resnext {
namespace {

constexpr int64_t kCount = 25 * 1024 * 1024 / sizeof(float);
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

}  // namespace

std::string measure_all_reduce(Communicator& communicator, c10::Device device) {
  at::Tensor values = at::empty({kCount}, at::TensorOptions().dtype(at::kFloat).device(device));
  std::vector<double> ms;
  for (int run = -kWarmUp; run < kRuns; ++run) {
    const double time = run_once(communicator, values);
    if (run >= 0) ms.push_back(time);
  }
  std::nth_element(ms.begin(), ms.begin() + kRuns / 2, ms.end());
  const double median = std::max(ms[kRuns / 2], 1e-6);
  const double rate = static_cast<double>(kCount * sizeof(float)) / median / 1e6;
  const int ranks = communicator.size();
  return fmt::format(
      "all_reduce of 25 MiB over {} ranks ({}): {:.2f} ms, {:.2f} GB/s, bus {:.2f} GB/s", ranks,
      communicator.name(), median, rate, rate * 2 * (ranks - 1) / ranks);
}

}  // namespace resnext
