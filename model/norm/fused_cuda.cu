// Kernels of the fused normalisation layers: what threads do is in model/norm/fused_threads.h.
// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "comm/common/error.h"
#include "model/norm/fused_cuda.h"
#include "model/norm/fused_threads.h"

namespace resnext {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kChannelsOfBlock = 32;  // in the second stage of the sums
constexpr int kPartsOfBlock = 8;      // threads of one channel there
constexpr int kBytesAtOnce = 16;      // the widest load of a GPU

__device__ int64_t channel_of_thread(const ThreadGrid& grid) {
  return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * grid.width;
}

// Adds the sums of the block's threads of the same channels, in a fixed tree, and writes them to
// partial[chunk]{first, second}[channels]. All threads of the block call it.
template <int kWidth>
__device__ void add_up_block(Sums<kWidth> sums, int64_t channels, int64_t channel, float* partial) {
  __shared__ Sums<kWidth> shared[kMaxThreads];
  const int self = threadIdx.y * blockDim.x + threadIdx.x;
  shared[self] = sums;
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y >= half) continue;
    const Sums<kWidth>& other = shared[self + half * blockDim.x];
    for (int i = 0; i < kWidth; ++i) {
      shared[self].first.of[i] += other.first.of[i];
      shared[self].second.of[i] += other.second.of[i];
    }
  }
  if (threadIdx.y != 0 || channel >= channels) return;
  float* to = partial + static_cast<int64_t>(blockIdx.y) * 2 * channels + channel;
  for (int i = 0; i < kWidth; ++i) {
    to[i] = shared[self].first.of[i];
    to[channels + i] = shared[self].second.of[i];
  }
}

template <int kWidth, typename T>
__global__ void sum_squares_kernel(const T* x, MatrixShape shape, ThreadGrid grid, float* partial) {
  const int64_t channel = channel_of_thread(grid);
  Sums<kWidth> sums = {};
  if (channel < shape.channels) {
    sums = sum_squares_of_thread<kWidth>(x, blockIdx.y * grid.chunk_rows,
                                         rows_of_thread(grid, shape.rows, blockIdx.y, threadIdx.y),
                                         shape.channels, channel);
  }
  add_up_block(sums, shape.channels, channel, partial);
}

__device__ void move_running(const CudaRunning& running, const Moments<float>& moments, int64_t c) {
  const float keep = 1 - running.momentum;
  running.mean[c] = running.momentum * moments.mean + keep * running.mean[c];
  running.var[c] =
      running.momentum * (moments.squares / (moments.count - 1)) + keep * running.var[c];
}

// Merges the chunks' moments of each channel; blocks of (kChannelsOfBlock, kPartsOfBlock).
template <typename T>
__global__ void statistics_kernel(const T* x, MatrixShape shape, ThreadGrid grid,
                                  const float* partial, CudaRunning running, float* statistics) {
  __shared__ Moments<float> shared[kPartsOfBlock][kChannelsOfBlock];
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kChannelsOfBlock + threadIdx.x;
  Moments<float> moments = {};
  for (int chunk = threadIdx.y; c < shape.channels && chunk < grid.chunks; chunk += kPartsOfBlock) {
    const float* sums = partial + static_cast<int64_t>(chunk) * 2 * shape.channels + c;
    const auto count = static_cast<float>(rows_of_chunk(grid, shape.rows, chunk));
    const auto shift = static_cast<float>(x[chunk * grid.chunk_rows * shape.channels + c]);
    moments = merge(moments, moments_of_sums(count, shift, sums[0], sums[shape.channels]));
  }
  shared[threadIdx.y][threadIdx.x] = moments;
  __syncthreads();
  if (threadIdx.y != 0 || c >= shape.channels) return;
  for (int part = 1; part < kPartsOfBlock; ++part) {
    moments = merge(moments, shared[part][threadIdx.x]);
  }
  if (running.mean) move_running(running, moments, c);
  statistics[c] = moments.mean;
  statistics[shape.channels + c] = 1 / sqrtf(moments.squares / moments.count + running.eps);
}

__global__ void running_statistics_kernel(int64_t channels, CudaRunning running,
                                          float* statistics) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  statistics[c] = running.mean[c];
  statistics[channels + c] = 1 / sqrtf(running.var[c] + running.eps);
}

template <int kWidth, typename T>
__global__ void normalise_kernel(const T* x, const T* residual, ChannelData data, bool relu,
                                 MatrixShape shape, ThreadGrid grid, T* output) {
  const int64_t channel = channel_of_thread(grid);
  if (channel >= shape.channels) return;
  normalise_of_thread<kWidth>(x, residual, data, relu,
                              rows_of_thread(grid, shape.rows, blockIdx.y, threadIdx.y),
                              shape.channels, channel, output);
}

template <int kWidth, typename T>
__global__ void sum_gradients_kernel(ThreadGradient<T> in, ChannelData data, MatrixShape shape,
                                     ThreadGrid grid, float* partial) {
  const int64_t channel = channel_of_thread(grid);
  Sums<kWidth> sums = {};
  if (channel < shape.channels) {
    sums = sum_gradients_of_thread<kWidth>(
        in, data, rows_of_thread(grid, shape.rows, blockIdx.y, threadIdx.y), shape.channels,
        channel);
  }
  add_up_block(sums, shape.channels, channel, partial);
}

// Adds the chunks' sums of each channel, in blocks as of statistics_kernel. Writes the parameters'
// gradients and {centre, scale, slope, offset}[channels].
__global__ void channel_gradients_kernel(ChannelData data, MatrixShape shape, int chunks,
                                         const float* partial, bool training, float* weight,
                                         float* bias, float* coefficients) {
  __shared__ float shared[2][kPartsOfBlock][kChannelsOfBlock];
  const int64_t channels = shape.channels;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kChannelsOfBlock + threadIdx.x;
  float first = 0, second = 0;
  for (int chunk = threadIdx.y; c < channels && chunk < chunks; chunk += kPartsOfBlock) {
    const float* sums = partial + static_cast<int64_t>(chunk) * 2 * channels + c;
    first += sums[0];
    second += sums[channels];
  }
  shared[0][threadIdx.y][threadIdx.x] = first;
  shared[1][threadIdx.y][threadIdx.x] = second;
  __syncthreads();
  if (threadIdx.y != 0 || c >= channels) return;
  for (int part = 1; part < kPartsOfBlock; ++part) {
    first += shared[0][part][threadIdx.x];
    second += shared[1][part][threadIdx.x];
  }
  const auto made = channel_gradients<float, float>(
      data.statistics[c], data.statistics[channels + c], data.weight[c], first, second,
      static_cast<float>(shape.rows), training);
  weight[c] = made.gamma;
  bias[c] = made.beta;
  coefficients[c] = made.input.centre;
  coefficients[channels + c] = made.input.scale;
  coefficients[2 * channels + c] = made.input.slope;
  coefficients[3 * channels + c] = made.input.offset;
}

template <int kWidth, typename T>
__global__ void input_gradients_kernel(ThreadGradient<T> in, ChannelData data,
                                       const float* coefficients, MatrixShape shape,
                                       ThreadGrid grid, T* input, T* residual) {
  const int64_t channel = channel_of_thread(grid);
  if (channel >= shape.channels) return;
  input_gradients_of_thread<kWidth>(in, data, coefficients,
                                    rows_of_thread(grid, shape.rows, blockIdx.y, threadIdx.y),
                                    shape.channels, channel, input, residual);
}

// ---- launches ---------------------------------------------------------------------------------
void check_launch() {
  const cudaError_t status = cudaGetLastError();
  if (status == cudaSuccess) return;
  throw Error(ExitCode::kInternal, "fused_norm",
              std::string("a kernel was refused: ") + cudaGetErrorString(status),
              "rebuild with this GPU's architecture in CMAKE_CUDA_ARCHITECTURES");
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
  check_launch();
}

dim3 blocks_of(const ThreadGrid& grid) {
  return dim3(grid.blocks_x, grid.chunks);
}

dim3 threads_of(const ThreadGrid& grid) {
  return dim3(grid.threads_x, grid.threads_y);
}

dim3 channel_blocks(int64_t channels) {
  return dim3(static_cast<unsigned>((channels + kChannelsOfBlock - 1) / kChannelsOfBlock));
}

ChannelData channel_data(const CudaNorm& norm) {
  return {norm.statistics, norm.weight, norm.bias};
}

}  // namespace

// The chunks' sums, then the coefficients of backward. One element a thread has the most chunks or
// as many as any other.
int64_t cuda_norm_workspace(MatrixShape shape) {
  int64_t chunks = 0;
  for (const int width : {1, 4, 8}) {
    const int64_t of_width = thread_grid(shape, width, Work::kSum).chunks;
    chunks = of_width > chunks ? of_width : chunks;
  }
  return (2 * chunks + 4) * shape.channels;
}

void cuda_norm_batch_statistics(const CudaNorm& norm, const CudaRunning& running) {
  with_layout(norm, true, [&](auto layout) {
    using L = decltype(layout);
    using T = typename L::Type;
    const auto* x = static_cast<const T*>(norm.x);
    const ThreadGrid grid = thread_grid(norm.shape, L::kWidth, Work::kSum);
    sum_squares_kernel<L::kWidth, T><<<blocks_of(grid), threads_of(grid), 0, norm.stream>>>(
        x, norm.shape, grid, norm.workspace);
    statistics_kernel<T>
        <<<channel_blocks(norm.shape.channels), dim3(kChannelsOfBlock, kPartsOfBlock), 0,
           norm.stream>>>(x, norm.shape, grid, norm.workspace, running, norm.statistics);
  });
}

void cuda_norm_running_statistics(const CudaNorm& norm, const CudaRunning& running) {
  running_statistics_kernel<<<channel_blocks(norm.shape.channels), kChannelsOfBlock, 0,
                              norm.stream>>>(norm.shape.channels, running, norm.statistics);
  check_launch();
}

void cuda_norm_forward(const CudaNorm& norm, const void* residual, bool relu, void* output) {
  with_layout(norm, is_aligned(residual) && is_aligned(output), [&](auto layout) {
    using L = decltype(layout);
    using T = typename L::Type;
    const ThreadGrid grid = thread_grid(norm.shape, L::kWidth, Work::kMap);
    normalise_kernel<L::kWidth, T><<<blocks_of(grid), threads_of(grid), 0, norm.stream>>>(
        static_cast<const T*>(norm.x), static_cast<const T*>(residual), channel_data(norm), relu,
        norm.shape, grid, static_cast<T*>(output));
  });
}

void cuda_norm_backward(const CudaNorm& norm, const CudaNormGradients& gradients) {
  const bool aligned = is_aligned(gradients.gradient) && is_aligned(gradients.output) &&
                       is_aligned(gradients.input) && is_aligned(gradients.residual);
  with_layout(norm, aligned, [&](auto layout) {
    using L = decltype(layout);
    using T = typename L::Type;
    const ThreadGrid grid = thread_grid(norm.shape, L::kWidth, Work::kSum);
    const ThreadGrid map = thread_grid(norm.shape, L::kWidth, Work::kMap);
    const ThreadGradient<T> in{static_cast<const T*>(gradients.gradient),
                               static_cast<const T*>(norm.x),
                               static_cast<const T*>(gradients.output), gradients.rectifier};
    const int64_t channels = norm.shape.channels;
    float* coefficients = norm.workspace + 2 * channels * grid.chunks;
    sum_gradients_kernel<L::kWidth, T><<<blocks_of(grid), threads_of(grid), 0, norm.stream>>>(
        in, channel_data(norm), norm.shape, grid, norm.workspace);
    channel_gradients_kernel<<<channel_blocks(channels), dim3(kChannelsOfBlock, kPartsOfBlock), 0,
                               norm.stream>>>(channel_data(norm), norm.shape, grid.chunks,
                                              norm.workspace, gradients.training, gradients.weight,
                                              gradients.bias, coefficients);
    input_gradients_kernel<L::kWidth, T><<<blocks_of(map), threads_of(map), 0, norm.stream>>>(
        in, channel_data(norm), coefficients, norm.shape, map, static_cast<T*>(gradients.input),
        static_cast<T*>(gradients.residual));
  });
}

}  // namespace resnext
