// Launches of the fused normalisation layers' kernels.
// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "comm/common/error.h"
#include "model/norm/fused_cuda.h"
#include "model/norm/fused_cuda_kernels.cuh"

namespace resnext {
namespace {

constexpr int kBytesAtOnce = 16;  // the widest load of a GPU

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  throw Error(ExitCode::kInternal, "fused_norm",
              std::string("a kernel was refused: ") + cudaGetErrorString(status),
              "rebuild with this GPU's architecture in CMAKE_CUDA_ARCHITECTURES");
}

int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

// Blocks of kThreadsOfBlock that the current device holds at a time.
template <typename... Arguments>
int64_t blocks_at_once(void (*kernel)(Arguments...)) {
  int each = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, kThreadsOfBlock, 0));
  return static_cast<int64_t>(each) * attribute(cudaDevAttrMultiProcessorCount);
}

int64_t most_blocks_at_once() {
  const int each = attribute(cudaDevAttrMaxThreadsPerMultiProcessor) / kThreadsOfBlock;
  return static_cast<int64_t>(each) * attribute(cudaDevAttrMultiProcessorCount);
}

template <typename T, int kElements>
struct Layout {
  using Type = T;
  static constexpr int kWidth = kElements;
};

bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % kBytesAtOnce == 0;
}

// Calls run(Layout) with the element's type, as wide as channels and addresses allow.
template <typename T, typename Run>
void with_width(bool aligned, int64_t channels, const Run& run) {
  constexpr int kWidest = kBytesAtOnce / sizeof(T);
  if (aligned && channels % kWidest == 0) {
    run(Layout<T, kWidest>());
  } else {
    run(Layout<T, 1>());
  }
}

template <typename Run>
void with_layout(const CudaNorm& norm, bool others_aligned, const Run& run) {
  const bool aligned = others_aligned && is_aligned(norm.x);
  switch (norm.element) {
    case Element::kFloat:
      with_width<float>(aligned, norm.shape.channels, run);
      break;
    case Element::kHalf:
      with_width<__half>(aligned, norm.shape.channels, run);
      break;
    case Element::kBFloat16:
      with_width<__nv_bfloat16>(aligned, norm.shape.channels, run);
      break;
  }
  check(cudaGetLastError());
}

// One wave of `kernel` over the whole matrix.
template <typename Kernel>
ThreadGrid grid_of(Kernel* kernel, const CudaNorm& norm, int width, Work work) {
  return thread_grid(norm.shape, width, work, blocks_at_once(kernel));
}

// Calls run(constant) with the rectifier known to the compiler.
template <typename Run>
void with_rectifier(Rectifier rectifier, const Run& run) {
  switch (rectifier) {
    case Rectifier::kNone:
      return run(std::integral_constant<Rectifier, Rectifier::kNone>());
    case Rectifier::kOfInput:
      return run(std::integral_constant<Rectifier, Rectifier::kOfInput>());
    case Rectifier::kOfOutput:
      return run(std::integral_constant<Rectifier, Rectifier::kOfOutput>());
  }
}

dim3 blocks_of(const ThreadGrid& grid) {
  return dim3(grid.blocks_x, grid.chunks);
}

dim3 threads_of(const ThreadGrid& grid) {
  return dim3(grid.threads_x, grid.threads_y);
}

const dim3 kThreadsOfSecondStage(kChannelsOfBlock, kPartsOfBlock);

dim3 channel_blocks(int64_t channels) {
  return dim3(static_cast<unsigned>((channels + kChannelsOfBlock - 1) / kChannelsOfBlock));
}

ChannelData channel_data(const CudaNorm& norm) {
  return {norm.statistics, norm.weight, norm.bias};
}

}  // namespace

// The chunks' sums, then the coefficients of backward: as much as any kernel may need.
int64_t cuda_norm_workspace(MatrixShape shape) {
  int64_t chunks = 0;
  for (const int width : {1, 4, 8}) {
    const int64_t of_width = thread_grid(shape, width, Work::kSum, most_blocks_at_once()).chunks;
    chunks = of_width > chunks ? of_width : chunks;
  }
  return (2 * chunks + 4) * shape.channels;
}

void cuda_norm_batch_statistics(const CudaNorm& norm, const CudaRunning& running) {
  with_layout(norm, true, [&](auto layout) {
    using L = decltype(layout);
    using T = typename L::Type;
    const auto* x = static_cast<const T*>(norm.x);
    const auto kernel = sum_squares_kernel<L::kWidth, T>;
    const ThreadGrid grid = grid_of(kernel, norm, L::kWidth, Work::kSum);
    kernel<<<blocks_of(grid), threads_of(grid), 0, norm.stream>>>(x, norm.shape, grid,
                                                                  norm.workspace);
    statistics_kernel<T>
        <<<channel_blocks(norm.shape.channels), kThreadsOfSecondStage, 0, norm.stream>>>(
            x, norm.shape, grid.chunks, norm.workspace, running, norm.statistics);
  });
}

void cuda_norm_statistics_of_sums(const CudaNorm& norm, const CudaRunning& running,
                                  const float* sums) {
  statistics_kernel<float>
      <<<channel_blocks(norm.shape.channels), kThreadsOfSecondStage, 0, norm.stream>>>(
          /*shift=*/nullptr, norm.shape, /*chunks=*/1, sums, running, norm.statistics);
  check(cudaGetLastError());
}

void cuda_norm_running_statistics(const CudaNorm& norm, const CudaRunning& running) {
  running_statistics_kernel<<<channel_blocks(norm.shape.channels), kChannelsOfBlock, 0,
                              norm.stream>>>(norm.shape.channels, running, norm.statistics);
  check(cudaGetLastError());
}

void cuda_norm_forward(const CudaNorm& norm, const void* residual, bool relu, void* output) {
  with_layout(norm, is_aligned(residual) && is_aligned(output), [&](auto layout) {
    using L = decltype(layout);
    using T = typename L::Type;
    const auto kernel = normalise_kernel<L::kWidth, T>;
    const ThreadGrid grid = grid_of(kernel, norm, L::kWidth, Work::kMap);
    kernel<<<blocks_of(grid), threads_of(grid), 0, norm.stream>>>(
        static_cast<const T*>(norm.x), static_cast<const T*>(residual), channel_data(norm), relu,
        norm.shape, grid, static_cast<T*>(output));
  });
}

namespace {

template <typename L, Rectifier kRectifier, bool kPair>
void launch_backward(const CudaNorm& norm, const CudaNormGradients& gradients) {
  using T = typename L::Type;
  const auto sum = sum_gradients_kernel<L::kWidth, kRectifier, kPair, T>;
  const auto map = input_gradients_kernel<L::kWidth, kRectifier, kPair, T>;
  const ThreadGrid sums = grid_of(sum, norm, L::kWidth, Work::kSum);
  const ThreadGrid rows = grid_of(map, norm, L::kWidth, Work::kMap);
  const ThreadGradient<T> in{static_cast<const T*>(gradients.gradient),
                             static_cast<const T*>(norm.x), static_cast<const T*>(gradients.output),
                             kRectifier, static_cast<const T*>(gradients.other)};
  const int64_t channels = norm.shape.channels;
  float* coefficients = norm.workspace + 2 * channels * sums.chunks;
  if (!gradients.sums) {
    sum<<<blocks_of(sums), threads_of(sums), 0, norm.stream>>>(in, channel_data(norm), norm.shape,
                                                               sums, norm.workspace);
  }
  channel_gradients_kernel<<<channel_blocks(channels), kThreadsOfSecondStage, 0, norm.stream>>>(
      channel_data(norm), norm.shape, gradients.sums ? 1 : sums.chunks,
      gradients.sums ? gradients.sums : norm.workspace, gradients.training, gradients.weight,
      gradients.bias, coefficients);
  map<<<blocks_of(rows), threads_of(rows), 0, norm.stream>>>(
      in, channel_data(norm), coefficients, norm.shape, rows, static_cast<T*>(gradients.input),
      static_cast<T*>(gradients.residual));
}

}  // namespace

void cuda_norm_backward(const CudaNorm& norm, const CudaNormGradients& gradients) {
  const bool aligned = is_aligned(gradients.gradient) && is_aligned(gradients.other) &&
                       is_aligned(gradients.output) && is_aligned(gradients.input) &&
                       is_aligned(gradients.residual);
  with_layout(norm, aligned, [&](auto layout) {
    with_rectifier(gradients.rectifier, [&](auto rectifier) {
      constexpr Rectifier kRectifier = decltype(rectifier)::value;
      if (gradients.other) {
        launch_backward<decltype(layout), kRectifier, true>(norm, gradients);
      } else {
        launch_backward<decltype(layout), kRectifier, false>(norm, gradients);
      }
    });
  });
}

}  // namespace resnext
