// What the launches of the fused normalisation layers hand to the GPU's kernels, read before any
// GPU would see it: this program has its own CUDA launch, which only takes notes.
// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "model/norm/fused_cuda.h"
#include "model/norm/fused_threads.h"

namespace {

using Gradient = resnext::ThreadGradient<float>;

std::vector<Gradient> noted;  // first arguments of the kernels that take one
bool of_gradients = true;     // the next launch is one of these

}  // namespace

// In place of the CUDA runtime's; a program's own symbols come first.
extern "C" {

cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void** arguments, size_t, cudaStream_t) {
  if (of_gradients) {
    Gradient& in = noted.emplace_back();
    std::memcpy(&in, arguments[0], sizeof(in));
  }
  of_gradients = !of_gradients;  // sums, channels, rows
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

// Both passes over the rows: sums, then gradients.
TEST(FusedLaunch, BackwardReadsTheGradientsOfBothReaders) {
  std::vector<float> gradient(8), other(8), x(8), made(8), channel(64), workspace(4096);
  CudaNorm norm;
  norm.shape = {2, 4};
  norm.x = x.data();
  norm.weight = norm.bias = channel.data();
  norm.statistics = channel.data();
  norm.workspace = workspace.data();
  for (const void* second :
       {static_cast<const void*>(other.data()), static_cast<const void*>(nullptr)}) {
    noted.clear();
    cuda_norm_backward(norm, {gradient.data(), second, nullptr, nullptr, Rectifier::kOfInput, true,
                              made.data(), nullptr, channel.data(), channel.data()});
    of_gradients = true;
    ASSERT_EQ(noted.size(), 2U);
    for (const Gradient& in : noted) {
      EXPECT_EQ(in.gradient, gradient.data());
      EXPECT_EQ(in.other, second);
      EXPECT_EQ(in.x, x.data());
    }
  }
}

}  // namespace
}  // namespace resnext
