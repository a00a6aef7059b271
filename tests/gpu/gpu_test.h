// What the tests that need a GPU share: the device, or a reason to skip; and arithmetic that gives
// the same bits from run to run.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/Context.h>
#include <c10/cuda/CUDAFunctions.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "worker/device/device.h"

namespace resnext::test {

// Computes on the first GPU that this process sees, on a stream that is not the default one.
class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // as run.deterministic does
    if (c10::cuda::device_count() == 0) GTEST_SKIP() << "needs a GPU; this machine shows none";
    device_.emplace(0);
  }
  at::Device gpu() const { return device_->torch(); }

  std::optional<ComputeDevice> device_;
};

// While one lives, what LibTorch computes has the same bits each time (as run.deterministic).
class Deterministic {
 public:
  Deterministic() { set(true); }
  ~Deterministic() { set(false); }
  Deterministic(const Deterministic&) = delete;
  Deterministic& operator=(const Deterministic&) = delete;

 private:
  static void set(bool on) {
    at::globalContext().setBenchmarkCuDNN(false);
    at::globalContext().setDeterministicCuDNN(on);
    at::globalContext().setDeterministicAlgorithms(on, /*warn_only=*/false);
  }
};

}  // namespace resnext::test
