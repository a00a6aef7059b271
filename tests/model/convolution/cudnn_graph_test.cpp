// The graphs that are given to cuDNN, judged by cuDNN itself for GPUs that are not here. Nothing is
// compiled or run; what engines compute is a matter of tests/gpu.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/cudnn_graph.h"

#include <cudnn.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <set>

#include "model/network/cost.h"
#include "model/network/neighbours.h"
#include "tests/model/network/networks.h"

namespace resnext {
namespace {

using cudnn::Fusion;
using cudnn::Problem;

struct Gpu {
  int version, multiprocessors, shared_bytes;
};
const Gpu kGpus[] = {{800, 108, 166912}, {900, 132, 232448}, {1000, 148, 232448}};

// What CUDA tells of such a device, in the words of cuDNN 9.
std::string properties(const Gpu& gpu) {
  return fmt::format(
      R"({{"deviceVer": {}, "multiProcessorCount": {}, "maxSharedMemoryPerBlockOptin": {},
      "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
      "regsPerBlock": 65536, "warpSize": 32, "maxSharedMemoryPerBlock": 49152,
      "reservedSharedMemoryPerBlock": 1024, "maxRegistersPerSM": 65536, "maxCtasPerSM": 32,
      "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "pciDeviceId": 0, "isTccDriver": 0,
      "supportCoopLaunch": 1, "totalGlobalMem": 80000000000, "smClockRateKHz": 1700000,
      "memClockRateKHz": 2600000, "l2CacheSize": 50000000, "cudaDeviceId": 0,
      "driverVer": 13000, "deviceName": "GPU"}})",
      gpu.version, gpu.multiprocessors, gpu.shared_bytes);
}

// Each shape once, of the convolutions whose neighbours take sums.
std::set<std::pair<Fusion, Problem>> problems(const ModelOptions& options) {
  const std::vector<LayerShape> layers = all_layer_shapes(options, 224);
  std::set<std::pair<Fusion, Problem>> found;
  for (const ConvolutionNeighbours& n : convolution_neighbours(plan_network(options))) {
    const LayerShape& layer = layers[n.convolution];
    const int64_t side = layer.input_side;
    if (layer.inputs[0] == kImages) continue;  // 3 channels: no engine wants to
    const Problem problem{
        CUDNN_DATA_BFLOAT16, 128,          layer.in_channels, side,        side, layer.out_channels,
        layer.kernel,        layer.stride, layer.padding(),   layer.groups};
    if (n.statistics_of) found.emplace(Fusion::kOutputSums, problem);
    if (n.normalised_by) found.emplace(Fusion::kGradientSums, problem);
  }
  return found;
}

class CudnnGraph : public testing::Test {
 protected:
  // cuDNN asks for the driver's library, of which the toolkit has one that does nothing.
  void SetUp() override {
    if (cudnnGetVersion() < 91100) GTEST_SKIP() << "cuDNN before 9.11 knows no devices elsewhere";
    if (!dlopen("libcuda.so.1", RTLD_NOW) && !dlopen(RESNEXT_CUDA_STUB, RTLD_NOW)) {
      GTEST_SKIP() << "neither a driver nor the toolkit's stub of one";
    }
  }
};

// cuDNN 9.19: sums of the output where a group has 16 channels or more, those of the gradient
// without groups.
TEST_F(CudnnGraph, ConvolutionsOfTheNetworkHaveEngines) {
  for (const Gpu& gpu : kGpus) {
    for (const auto& [fusion, p] : problems(test::imagenet(101, 64, 4))) {
      const bool offered = cudnn::offered_engines(properties(gpu), fusion, p) > 0;
      const std::string text =
          fmt::format("sm {}: {} x {} -> {}, kernel {}, {} groups", gpu.version, p.channels,
                      p.height, p.outputs, p.kernel, p.groups);
      if (fusion == Fusion::kOutputSums) {
        EXPECT_EQ(offered, p.channels / p.groups >= 16) << "sums of the output, " << text;
      } else {
        EXPECT_EQ(offered, p.groups == 1) << "sums of the gradient, " << text;
      }
    }
  }
}

// Of a graph that no engine takes nothing is offered.
TEST_F(CudnnGraph, NoEngineIsNoError) {
  Problem odd{CUDNN_DATA_BFLOAT16, 2, 3, 5, 5, 7, 3, 1, 1, 1};
  EXPECT_EQ(cudnn::offered_engines(properties({600, 20, 49152}), Fusion::kGradientSums, odd), 0U);
}

}  // namespace
}  // namespace resnext
