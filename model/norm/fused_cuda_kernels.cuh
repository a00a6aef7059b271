// Kernels of the fused normalisation layers: what threads do is in model/norm/fused_threads.h.
//
// Blocks of kThreadsOfBlock threads over a matrix, and of (kChannelsOfBlock, kPartsOfBlock) in the
// second stage of the sums. Included by fused_cuda.cu alone.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "model/norm/fused_cuda.h"
#include "model/norm/fused_threads.h"

namespace resnext {
namespace {

constexpr int kChannelsOfBlock = 32;        // in the second stage of the sums
constexpr int kPartsOfBlock = 32;           // threads of one channel there
constexpr int kBlocksOfMultiprocessor = 3;  // at least: bounds the registers of a thread

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

// `shift`: the row that the sums are relative to; null: none.
template <typename T>
__global__ void statistics_kernel(const T* shift, MatrixShape shape, int chunks,
                                  const float* partial, CudaRunning running, float* statistics) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kChannelsOfBlock + threadIdx.x;
  const Sums<1> sums = add_up_chunks(partial, chunks, shape.channels, c);
  if (threadIdx.y != 0 || c >= shape.channels) return;
  const float from = shift ? static_cast<float>(shift[c]) : 0;
  const auto moments =
      moments_of_sums(static_cast<float>(shape.rows), from, sums.first.of[0], sums.second.of[0]);
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

}  // namespace
}  // namespace resnext
