// What one GPU thread does in the fused normalisation layers; runs on the CPU too, for tests.
//
// Matrices [rows, channels], dense, of T (float, a half type). A thread owns kWidth neighbouring
// channels from `channel` on, and of the rows those of its range; all arithmetic is in float. Loads
// and stores move kWidth values at once: addresses are aligned to kWidth * sizeof(T).
// C++17, no dependencies.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "model/norm/fused_math.h"

namespace resnext {

// How a matrix is divided among threads, so that sums are always added in the same order: from its
// shape and the number of blocks that the device holds at a time. A block has threads_x * threads_y
// threads; blocks_x of them lie side by side over the channels and `chunks` over the rows.
struct ThreadGrid {
  int width;  // channels a thread
  int threads_x, threads_y;
  int blocks_x, chunks;
  int64_t chunk_rows;
};

// What threads do: `kSum` adds rows up; `kMap` has nothing to add.
enum class Work { kSum, kMap };

inline constexpr int kThreadsOfBlock = 256;

// One wave: all blocks run at the same time and have the same number of rows, up to one, but no
// fewer a thread than make up for reading the channels' coefficients. `blocks_at_once`: of the
// kernel, on the whole device.
inline ThreadGrid thread_grid(MatrixShape shape, int width, Work work,
                              int64_t blocks_at_once = 1024) {
  const int64_t least_rows_of_thread = work == Work::kSum ? 4 : 8;
  const int64_t groups = (shape.channels + width - 1) / width;
  ThreadGrid grid{width, 1, 0, 0, 0, 0};
  while (grid.threads_x < 32 && grid.threads_x < groups) grid.threads_x *= 2;
  grid.threads_y = kThreadsOfBlock / grid.threads_x;
  grid.blocks_x = static_cast<int>((groups + grid.threads_x - 1) / grid.threads_x);
  const int64_t block_rows = grid.threads_y * least_rows_of_thread;
  const int64_t wanted = (shape.rows + block_rows - 1) / block_rows;
  const int64_t wave = blocks_at_once > grid.blocks_x ? blocks_at_once / grid.blocks_x : 1;
  const int64_t chunks = wanted < wave ? wanted : wave;
  grid.chunk_rows = (shape.rows + chunks - 1) / chunks;
  grid.chunks = static_cast<int>((shape.rows + grid.chunk_rows - 1) / grid.chunk_rows);
  return grid;
}

struct RowRange {
  int64_t begin, end, step;
};

// Of thread `y` in the blocks of `chunk`.
RESNEXT_HOST_DEVICE inline RowRange rows_of_thread(const ThreadGrid& grid, int64_t rows, int chunk,
                                                   int y) {
  const int64_t begin = chunk * grid.chunk_rows;
  const int64_t end = begin + grid.chunk_rows < rows ? begin + grid.chunk_rows : rows;
  return {begin + y, end, grid.threads_y};
}

RESNEXT_HOST_DEVICE inline int64_t rows_of_chunk(const ThreadGrid& grid, int64_t rows, int chunk) {
  const int64_t left = rows - chunk * grid.chunk_rows;
  return left < grid.chunk_rows ? left : grid.chunk_rows;
}

template <typename T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T values[kWidth];
};

template <int kWidth>
struct Values {
  float of[kWidth];
};

template <int kWidth, typename T>
RESNEXT_HOST_DEVICE Values<kWidth> load(const T* from) {
  const Pack<T, kWidth> pack = *reinterpret_cast<const Pack<T, kWidth>*>(from);
  Values<kWidth> values;
  for (int i = 0; i < kWidth; ++i) values.of[i] = static_cast<float>(pack.values[i]);
  return values;
}

template <int kWidth, typename T>
RESNEXT_HOST_DEVICE void store(const Values<kWidth>& values, T* to) {
  Pack<T, kWidth> pack;
  for (int i = 0; i < kWidth; ++i) pack.values[i] = static_cast<T>(values.of[i]);
  *reinterpret_cast<Pack<T, kWidth>*>(to) = pack;
}

template <int kWidth>
struct Sums {
  Values<kWidth> first, second;
};

// Of x - shift and its square; shift is the row `shift_row`.
template <int kWidth, typename T>
RESNEXT_HOST_DEVICE Sums<kWidth> sum_squares_of_thread(const T* x, int64_t shift_row, RowRange rows,
                                                       int64_t channels, int64_t channel) {
  Sums<kWidth> sums = {};
  const Values<kWidth> shift = load<kWidth>(x + shift_row * channels + channel);
  for (int64_t r = rows.begin; r < rows.end; r += rows.step) {
    const Values<kWidth> values = load<kWidth>(x + r * channels + channel);
    for (int i = 0; i < kWidth; ++i) {
      const float distance = values.of[i] - shift.of[i];
      sums.first.of[i] += distance;
      sums.second.of[i] += distance * distance;
    }
  }
  return sums;
}

// Second stage of the sums: adds up every `step`-th chunk from `chunk` on, of one channel, from
// partial[chunk]{first, second}[channels].
RESNEXT_HOST_DEVICE inline Sums<1> sum_chunks_of_thread(const float* partial, int chunk, int chunks,
                                                        int step, int64_t channels, int64_t c) {
  Sums<1> sums = {};
  for (; chunk < chunks; chunk += step) {
    const float* of_chunk = partial + static_cast<int64_t>(chunk) * 2 * channels + c;
    sums.first.of[0] += of_chunk[0];
    sums.second.of[0] += of_chunk[channels];
  }
  return sums;
}

// Per channel, all float: what forward and backward need to know. `statistics` is
// {mean, inverse deviation}[channels].
struct ChannelData {
  const float *statistics, *weight, *bias;

  RESNEXT_HOST_DEVICE ForwardCoefficients<float> forward(int64_t c, int64_t channels) const {
    return forward_coefficients<float, float>(statistics[c], statistics[channels + c], weight[c],
                                              bias[c]);
  }
};

template <int kWidth, typename T>
RESNEXT_HOST_DEVICE void normalise_of_thread(const T* x, const T* residual, ChannelData data,
                                             bool relu, RowRange rows, int64_t channels,
                                             int64_t channel, T* output) {
  ForwardCoefficients<float> k[kWidth];
  for (int i = 0; i < kWidth; ++i) k[i] = data.forward(channel + i, channels);
  for (int64_t r = rows.begin; r < rows.end; r += rows.step) {
    const int64_t at = r * channels + channel;
    Values<kWidth> y = load<kWidth>(x + at);
    Values<kWidth> add = {};
    if (residual) add = load<kWidth>(residual + at);
    for (int i = 0; i < kWidth; ++i) {
      y.of[i] = (y.of[i] - k[i].centre) * k[i].scale + k[i].offset + add.of[i];
      if (relu) y.of[i] = rectified(y.of[i]);
    }
    store(y, output + at);
  }
}

template <typename T>
struct ThreadGradient {
  const T *gradient, *x, *output;  // output: of Rectifier::kOfOutput only
  Rectifier rectifier;
  const T* other;  // the gradient of a second reader of the output, or null
};

// The gradient behind the ReLU, of all readers; `x` are the values at the same place.
template <int kWidth, typename T>
RESNEXT_HOST_DEVICE Values<kWidth> gradient_behind(const ThreadGradient<T>& in,
                                                   const ForwardCoefficients<float>* k,
                                                   const Values<kWidth>& x, int64_t at) {
  Values<kWidth> g = load<kWidth>(in.gradient + at);
  if (in.other) {
    const Values<kWidth> more = load<kWidth>(in.other + at);
    for (int i = 0; i < kWidth; ++i) g.of[i] += more.of[i];
  }
  if (in.rectifier == Rectifier::kNone) return g;
  Values<kWidth> y = x;
  if (in.rectifier == Rectifier::kOfOutput) y = load<kWidth>(in.output + at);
  for (int i = 0; i < kWidth; ++i) {
    if (in.rectifier == Rectifier::kOfInput) {
      y.of[i] = (y.of[i] - k[i].centre) * k[i].scale + k[i].offset;
    }
    g.of[i] = behind_rectifier(g.of[i], y.of[i]);
  }
  return g;
}

// Of g and of g * (x - centre).
template <int kWidth, typename T>
RESNEXT_HOST_DEVICE Sums<kWidth> sum_gradients_of_thread(const ThreadGradient<T>& in,
                                                         ChannelData data, RowRange rows,
                                                         int64_t channels, int64_t channel) {
  Sums<kWidth> sums = {};
  ForwardCoefficients<float> k[kWidth];
  for (int i = 0; i < kWidth; ++i) k[i] = data.forward(channel + i, channels);
  for (int64_t r = rows.begin; r < rows.end; r += rows.step) {
    const int64_t at = r * channels + channel;
    const Values<kWidth> x = load<kWidth>(in.x + at);
    const Values<kWidth> g = gradient_behind(in, k, x, at);
    for (int i = 0; i < kWidth; ++i) {
      sums.first.of[i] += g.of[i];
      sums.second.of[i] += g.of[i] * (x.of[i] - k[i].centre);
    }
  }
  return sums;
}

// `coefficients` is {centre, scale, slope, offset}[channels]; the first two are forward's as well.
// residual_gradient may be null. Whatever belongs to a channel is read before the rows: stores may
// alias it, so that it would be read again for each.
template <int kWidth, typename T>
RESNEXT_HOST_DEVICE void input_gradients_of_thread(const ThreadGradient<T>& in, ChannelData data,
                                                   const float* coefficients, RowRange rows,
                                                   int64_t channels, int64_t channel,
                                                   T* input_gradient, T* residual_gradient) {
  ForwardCoefficients<float> k[kWidth];
  Values<kWidth> slope, offset;
  for (int i = 0; i < kWidth; ++i) {
    k[i] = data.forward(channel + i, channels);
    slope.of[i] = coefficients[2 * channels + channel + i];
    offset.of[i] = coefficients[3 * channels + channel + i];
  }
  for (int64_t r = rows.begin; r < rows.end; r += rows.step) {
    const int64_t at = r * channels + channel;
    const Values<kWidth> x = load<kWidth>(in.x + at);
    const Values<kWidth> g = gradient_behind(in, k, x, at);
    if (residual_gradient) store(g, residual_gradient + at);
    Values<kWidth> result;
    for (int i = 0; i < kWidth; ++i) {
      result.of[i] = g.of[i] * k[i].scale + (x.of[i] - k[i].centre) * slope.of[i] + offset.of[i];
    }
    store(result, input_gradient + at);
  }
}

}  // namespace resnext
