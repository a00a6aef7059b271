// Kernels of the fused normalisation layers: what threads do is in model/norm/fused_threads.h.
// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "comm/common/error.h"
#include "model/norm/fused_cuda.h"
#include "model/norm/fused_threads.h"

namespace resnext {
namespace {

constexpr int kChannelsOfBlock = 32;        // in the second stage of the sums
constexpr int kPartsOfBlock = 32;           // threads of one channel there
constexpr int kBlocksOfMultiprocessor = 3;  // at least: bounds the registers of a thread
constexpr int kBytesAtOnce = 16;            // the widest load of a GPU

__device__ int64_t channel_of_thread(const ThreadGrid& grid) {
  return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * grid.width;
}

// Adds the sums of the block's threads of the same channels, in a fixed tree, and writes them to
// partial[chunk]{first, second}[channels]. All threads of the block call it. Neighbouring threads
// are neighbours in shared memory too, and so in different banks.
template <int kWidth>
__device__ void add_up_block(Sums<kWidth> sums, int64_t channels, int64_t channel, float* partial) {
  __shared__ float shared[2 * kWidth][kThreadsOfBlock];
  const int self = threadIdx.y * blockDim.x + threadIdx.x;
  for (int i = 0; i < kWidth; ++i) {
    shared[i][self] = sums.first.of[i];
    shared[kWidth + i][self] = sums.second.of[i];
  }
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y >= half) continue;
    for (int i = 0; i < 2 * kWidth; ++i) shared[i][self] += shared[i][self + half * blockDim.x];
  }
  if (threadIdx.y != 0 || channel >= channels) return;
  float* to = partial + static_cast<int64_t>(blockIdx.y) * 2 * channels + channel;
  for (int i = 0; i < kWidth; ++i) {
    to[i] = shared[i][self];
    to[channels + i] = shared[kWidth + i][self];
  }
}

// Adds the chunks' sums of channel c, in a fixed tree; whole on threads with threadIdx.y == 0. All
// threads of a block of (kChannelsOfBlock, kPartsOfBlock) call it.
__device__ Sums<1> add_up_chunks(const float* partial, int chunks, int64_t channels, int64_t c) {
  __shared__ float first[kPartsOfBlock][kChannelsOfBlock], second[kPartsOfBlock][kChannelsOfBlock];
  const int x = threadIdx.x, y = threadIdx.y;
  Sums<1> sums = {};
  if (c < channels) sums = sum_chunks_of_thread(partial, y, chunks, kPartsOfBlock, channels, c);
  first[y][x] = sums.first.of[0];
  second[y][x] = sums.second.of[0];
  for (int half = kPartsOfBlock / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y >= half) continue;
    first[y][x] += first[y + half][x];
    second[y][x] += second[y + half][x];
  }
  return {{{first[y][x]}}, {{second[y][x]}}};
}

// All shifted by row 0, so that the chunks' sums can be added.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreadsOfBlock, kBlocksOfMultiprocessor)
    sum_squares_kernel(const T* x, MatrixShape shape, ThreadGrid grid, float* partial) {
  const int64_t channel = channel_of_thread(grid);
  Sums<kWidth> sums = {};
  if (channel < shape.channels) {
    sums = sum_squares_of_thread<kWidth>(x, /*shift_row=*/0,
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

template <typename T>
__global__ void statistics_kernel(const T* x, MatrixShape shape, int chunks, const float* partial,
                                  CudaRunning running, float* statistics) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kChannelsOfBlock + threadIdx.x;
  const Sums<1> sums = add_up_chunks(partial, chunks, shape.channels, c);
  if (threadIdx.y != 0 || c >= shape.channels) return;
  const auto moments = moments_of_sums(static_cast<float>(shape.rows), static_cast<float>(x[c]),
                                       sums.first.of[0], sums.second.of[0]);
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
__global__ void __launch_bounds__(kThreadsOfBlock, kBlocksOfMultiprocessor)
    normalise_kernel(const T* x, const T* residual, ChannelData data, bool relu, MatrixShape shape,
                     ThreadGrid grid, T* output) {
  const int64_t channel = channel_of_thread(grid);
  if (channel >= shape.channels) return;
  normalise_of_thread<kWidth>(x, residual, data, relu,
                              rows_of_thread(grid, shape.rows, blockIdx.y, threadIdx.y),
                              shape.channels, channel, output);
}

// Tells the compiler what the caller of a kernel knows, so that registers hold only what is needed.
template <Rectifier kRectifier, bool kPair, typename T>
__device__ void know(ThreadGradient<T>& in) {
  in.rectifier = kRectifier;
  if (!kPair) in.other = nullptr;
}

template <int kWidth, Rectifier kRectifier, bool kPair, typename T>
__global__ void __launch_bounds__(kThreadsOfBlock, kBlocksOfMultiprocessor)
    sum_gradients_kernel(ThreadGradient<T> in, ChannelData data, MatrixShape shape, ThreadGrid grid,
                         float* partial) {
  know<kRectifier, kPair>(in);
  const int64_t channel = channel_of_thread(grid);
  Sums<kWidth> sums = {};
  if (channel < shape.channels) {
    sums = sum_gradients_of_thread<kWidth>(
        in, data, rows_of_thread(grid, shape.rows, blockIdx.y, threadIdx.y), shape.channels,
        channel);
  }
  add_up_block(sums, shape.channels, channel, partial);
}

// Writes the parameters' gradients and {centre, scale, slope, offset}[channels].
__global__ void channel_gradients_kernel(ChannelData data, MatrixShape shape, int chunks,
                                         const float* partial, bool training, float* weight,
                                         float* bias, float* coefficients) {
  const int64_t channels = shape.channels;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kChannelsOfBlock + threadIdx.x;
  const Sums<1> sums = add_up_chunks(partial, chunks, channels, c);
  if (threadIdx.y != 0 || c >= channels) return;
  const auto made = channel_gradients<float, float>(
      data.statistics[c], data.statistics[channels + c], data.weight[c], sums.first.of[0],
      sums.second.of[0], static_cast<float>(shape.rows), training);
  weight[c] = made.gamma;
  bias[c] = made.beta;
  coefficients[c] = made.input.centre;
  coefficients[channels + c] = made.input.scale;
  coefficients[2 * channels + c] = made.input.slope;
  coefficients[3 * channels + c] = made.input.offset;
}

template <int kWidth, Rectifier kRectifier, bool kPair, typename T>
__global__ void __launch_bounds__(kThreadsOfBlock, kBlocksOfMultiprocessor)
    input_gradients_kernel(ThreadGradient<T> in, ChannelData data, const float* coefficients,
                           MatrixShape shape, ThreadGrid grid, T* input, T* residual) {
  know<kRectifier, kPair>(in);
  const int64_t channel = channel_of_thread(grid);
  if (channel >= shape.channels) return;
  input_gradients_of_thread<kWidth>(in, data, coefficients,
                                    rows_of_thread(grid, shape.rows, blockIdx.y, threadIdx.y),
                                    shape.channels, channel, input, residual);
}

// ---- launches ---------------------------------------------------------------------------------
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
                             kRectifier};
  const int64_t channels = norm.shape.channels;
  float* coefficients = norm.workspace + 2 * channels * sums.chunks;
  sum<<<blocks_of(sums), threads_of(sums), 0, norm.stream>>>(in, channel_data(norm), norm.shape,
                                                             sums, norm.workspace);
  channel_gradients_kernel<<<channel_blocks(channels), kThreadsOfSecondStage, 0, norm.stream>>>(
      channel_data(norm), norm.shape, sums.chunks, norm.workspace, gradients.training,
      gradients.weight, gradients.bias, coefficients);
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
