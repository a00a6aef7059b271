// What the launches of the fused normalisation layers hand to the GPU's kernels, read before any
// GPU would see it: this program has its own CUDA launch, which only takes notes.
// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <vector>

#include "model/norm/fused_cuda.h"
#include "model/norm/fused_threads.h"

namespace {

// What the test at hand looks at: arguments are pointers to the kernel's parameters.
std::function<void(void** arguments)> on_launch;
int launches = 0;

template <typename T>
T parameter(void** arguments, int index) {
  T value;
  std::memcpy(&value, arguments[index], sizeof(T));
  return value;
}

}  // namespace

// In place of the CUDA runtime's; a program's own symbols come first.
extern "C" {

cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void** arguments, size_t, cudaStream_t) {
  ++launches;
  on_launch(arguments);
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void*) {
  *kernel = nullptr;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 64;
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int,
                                                                   size_t, unsigned) {
  *blocks = 1;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  return cudaSuccess;
}

}  // extern "C"

namespace resnext {
namespace {

class FusedLaunch : public testing::Test {
 protected:
  FusedLaunch() {
    launches = 0;
    norm.shape = {2, 4};
    norm.x = x.data();
    norm.weight = norm.bias = norm.statistics = channel.data();
    norm.workspace = workspace.data();
  }
  void backward(const void* other, const float* sums) {
    cuda_norm_backward(norm, {gradient.data(), other, nullptr, sums, Rectifier::kOfInput, true,
                              made.data(), nullptr, channel.data(), channel.data()});
  }

  std::vector<float> gradient = std::vector<float>(8), second = gradient, x = gradient;
  std::vector<float> made = gradient, taken = gradient;
  std::vector<float> channel = std::vector<float>(64), workspace = std::vector<float>(4096);
  CudaNorm norm;
};

// Both passes over the rows: sums, then gradients, with the channels' own in between.
TEST_F(FusedLaunch, BackwardReadsTheGradientsOfBothReaders) {
  for (const float* other : {second.data(), static_cast<float*>(nullptr)}) {
    launches = 0;
    on_launch = [&](void** arguments) {
      if (launches == 2) return;
      const auto in = parameter<ThreadGradient<float>>(arguments, 0);
      EXPECT_EQ(in.gradient, gradient.data());
      EXPECT_EQ(in.other, other);
      EXPECT_EQ(in.x, x.data());
    };
    backward(other, nullptr);
    EXPECT_EQ(launches, 3);
  }
}

// As one chunk of sums, without a pass that takes them.
TEST_F(FusedLaunch, BackwardUsesSumsThatTheReaderHasTaken) {
  on_launch = [&](void** arguments) {
    if (launches > 1) return;
    EXPECT_EQ(parameter<int>(arguments, 2), 1);
    EXPECT_EQ(parameter<const float*>(arguments, 3), taken.data());
  };
  backward(nullptr, taken.data());
  EXPECT_EQ(launches, 2);
}

// Of x itself: not relative to its first row, as the kernels' own are.
TEST_F(FusedLaunch, StatisticsOfSumsHaveNoShift) {
  on_launch = [&](void** arguments) {
    EXPECT_EQ(parameter<const float*>(arguments, 0), nullptr);
    EXPECT_EQ(parameter<int>(arguments, 2), 1);
    EXPECT_EQ(parameter<const float*>(arguments, 3), taken.data());
  };
  cuda_norm_statistics_of_sums(norm, {}, taken.data());
  EXPECT_EQ(launches, 1);
}

}  // namespace
}  // namespace resnext
