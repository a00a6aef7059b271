// The GPU threads' work, done here one thread after the other, against formulas in float64.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/norm/fused_threads.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace resnext {
namespace {

constexpr float kEps = 1e-5F;

// Aligned as the device's allocator does.
template <typename T>
struct Matrix {
  MatrixShape shape;
  std::unique_ptr<T[], decltype(&std::free)> data;

  explicit Matrix(MatrixShape s)
      : shape(s),
        data(static_cast<T*>(
                 std::aligned_alloc(64, (s.rows * s.channels * sizeof(T) + 63) / 64 * 64)),
             &std::free) {}
  Matrix(MatrixShape s, unsigned seed, double mean, double deviation) : Matrix(s) {
    std::mt19937 engine(seed);
    std::normal_distribution<double> normal(mean, deviation);
    for (int64_t i = 0; i < size(); ++i)
      data[i] = static_cast<T>(static_cast<float>(normal(engine)));
  }
  int64_t size() const { return shape.rows * shape.channels; }
  double at(int64_t row, int64_t c) const {
    return static_cast<float>(data[row * shape.channels + c]);
  }
};

// Calls work(rows, chunk, channel) for every thread of the grid.
template <int kWidth>
void for_each_thread(MatrixShape shape, Work kind,
                     const std::function<void(RowRange, int, int64_t)>& work) {
  const ThreadGrid grid = thread_grid(shape, kWidth, kind);
  for (int chunk = 0; chunk < grid.chunks; ++chunk) {
    for (int x = 0; x < grid.blocks_x * grid.threads_x; ++x) {
      const int64_t channel = static_cast<int64_t>(x) * kWidth;
      if (channel >= shape.channels) continue;
      for (int y = 0; y < grid.threads_y; ++y) {
        work(rows_of_thread(grid, shape.rows, chunk, y), chunk, channel);
      }
    }
  }
}

// The sums of all threads of a chunk: [chunk][channel].
using ChunkSums = std::vector<std::vector<std::pair<float, float>>>;

template <int kWidth>
void add(const Sums<kWidth>& sums, std::vector<std::pair<float, float>>& chunk, int64_t channel) {
  for (int i = 0; i < kWidth; ++i) {
    chunk[channel + i].first += sums.first.of[i];
    chunk[channel + i].second += sums.second.of[i];
  }
}

ChunkSums no_sums(MatrixShape shape, int width) {
  const auto chunks = static_cast<size_t>(thread_grid(shape, width, Work::kSum).chunks);
  return ChunkSums(chunks, std::vector<std::pair<float, float>>(shape.channels));
}

double mean_of(const Matrix<double>& m, int64_t c) {
  double sum = 0;
  for (int64_t r = 0; r < m.shape.rows; ++r) sum += m.data[r * m.shape.channels + c];
  return sum / static_cast<double>(m.shape.rows);
}

double variance_of(const Matrix<double>& m, int64_t c) {
  const double mean = mean_of(m, c);
  double sum = 0;
  for (int64_t r = 0; r < m.shape.rows; ++r) {
    sum += std::pow(m.data[r * m.shape.channels + c] - mean, 2);
  }
  return sum / static_cast<double>(m.shape.rows);
}

template <typename T>
Matrix<double> exact(const Matrix<T>& m) {
  Matrix<double> wide(m.shape);
  for (int64_t i = 0; i < m.size(); ++i) wide.data[i] = static_cast<float>(m.data[i]);
  return wide;
}

// {mean, inverse deviation}[channels], by the two stages of the kernels.
template <typename T, int kWidth>
std::vector<float> statistics_of(const Matrix<T>& x) {
  const ThreadGrid grid = thread_grid(x.shape, kWidth, Work::kSum);
  ChunkSums sums = no_sums(x.shape, kWidth);
  for_each_thread<kWidth>(x.shape, Work::kSum, [&](RowRange rows, int chunk, int64_t channel) {
    add(sum_squares_of_thread<kWidth>(x.data.get(), chunk * grid.chunk_rows, rows, x.shape.channels,
                                      channel),
        sums[chunk], channel);
  });
  std::vector<float> statistics(2 * x.shape.channels);
  for (int64_t c = 0; c < x.shape.channels; ++c) {
    Moments<float> all = {};
    for (int chunk = 0; chunk < grid.chunks; ++chunk) {
      const auto rows = static_cast<float>(rows_of_chunk(grid, x.shape.rows, chunk));
      const auto shift = static_cast<float>(x.at(chunk * grid.chunk_rows, c));
      all = merge(all, moments_of_sums(rows, shift, sums[chunk][c].first, sums[chunk][c].second));
    }
    statistics[c] = all.mean;
    statistics[x.shape.channels + c] = 1 / std::sqrt(all.squares / all.count + kEps);
  }
  return statistics;
}

// `rounding`: of the type that results are kept in, relative.
template <typename T, int kWidth>
struct Layer {
  Matrix<T> x, residual, gradient;
  std::vector<float> weight, bias, statistics;
  double rounding;

  Layer(MatrixShape shape, double mean, double deviation, double rounding_of_type)
      : x(shape, 1, mean, deviation),
        residual(shape, 2, 0, 1),
        gradient(shape, 3, 0, 1),
        weight(shape.channels),
        bias(shape.channels),
        statistics(statistics_of<T, kWidth>(x)),
        rounding(rounding_of_type) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      weight[c] = 1.5F - 0.5F * static_cast<float>(c % 7);
      bias[c] = 0.1F * static_cast<float>(c % 5) - 0.2F;
    }
  }
  ChannelData data() const { return {statistics.data(), weight.data(), bias.data()}; }

  double normalised(int64_t r, int64_t c) const { return (x.at(r, c) - means[c]) * inverses[c]; }
  double output(int64_t r, int64_t c, bool with_residual) const {
    return normalised(r, c) * weight[c] + bias[c] + (with_residual ? residual.at(r, c) : 0);
  }

  std::vector<double> means, inverses;
  void work_out_reference() {
    const Matrix<double> wide = exact(x);
    for (int64_t c = 0; c < x.shape.channels; ++c) {
      means.push_back(mean_of(wide, c));
      inverses.push_back(1 / std::sqrt(variance_of(wide, c) + kEps));
    }
  }
};

template <typename T, int kWidth>
void check_statistics(const Layer<T, kWidth>& layer) {
  const int64_t channels = layer.x.shape.channels;
  for (int64_t c = 0; c < channels; ++c) {
    EXPECT_NEAR(layer.statistics[c], layer.means[c],
                1e-6 * (std::abs(layer.means[c]) + 1 / layer.inverses[c]));
    EXPECT_NEAR(layer.statistics[channels + c] / layer.inverses[c], 1, 1e-6) << c;
  }
}

template <typename T, int kWidth>
Matrix<T> forward_of(const Layer<T, kWidth>& layer, bool with_residual, bool relu) {
  Matrix<T> y(layer.x.shape);
  for_each_thread<kWidth>(y.shape, Work::kMap, [&](RowRange rows, int, int64_t channel) {
    normalise_of_thread<kWidth>(layer.x.data.get(),
                                with_residual ? layer.residual.data.get() : nullptr, layer.data(),
                                relu, rows, y.shape.channels, channel, y.data.get());
  });
  return y;
}

template <typename T, int kWidth>
void check_forward(const Layer<T, kWidth>& layer, bool with_residual, bool relu) {
  const Matrix<T> y = forward_of(layer, with_residual, relu);
  for (int64_t r = 0; r < y.shape.rows; ++r) {
    for (int64_t c = 0; c < y.shape.channels; ++c) {
      const double unbounded = layer.output(r, c, with_residual);
      const double expected = relu ? std::max(unbounded, 0.0) : unbounded;
      // 4: values of a few deviations are added.
      ASSERT_NEAR(y.at(r, c), expected, 1e-6 * 4 + layer.rounding * std::abs(expected));
    }
  }
}

// Gradients of a channel by the formulas, with g from the thread functions' own outputs.
template <typename T, int kWidth>
void check_backward(const Layer<T, kWidth>& layer, Rectifier rectifier, bool training) {
  const MatrixShape shape = layer.x.shape;
  const bool with_residual = rectifier == Rectifier::kOfOutput;
  const Matrix<T> y = forward_of(layer, with_residual, true);
  const ThreadGradient<T> in{layer.gradient.data.get(), layer.x.data.get(), y.data.get(), rectifier,
                             nullptr};
  ChunkSums sums = no_sums(shape, kWidth);
  for_each_thread<kWidth>(shape, Work::kSum, [&](RowRange rows, int chunk, int64_t channel) {
    add(sum_gradients_of_thread<kWidth>(in, layer.data(), rows, shape.channels, channel),
        sums[chunk], channel);
  });
  std::vector<float> rows_of_coefficients(4 * shape.channels);
  const auto n = static_cast<double>(shape.rows);
  std::vector<double> sum_g(shape.channels), sum_gx(shape.channels);
  const auto behind = [&](int64_t r, int64_t c) {
    return rectifier != Rectifier::kNone && y.at(r, c) <= 0 ? 0 : layer.gradient.at(r, c);
  };
  for (int64_t c = 0; c < shape.channels; ++c) {
    float first = 0, second = 0;
    for (const auto& chunk : sums) {
      first += chunk[c].first;
      second += chunk[c].second;
    }
    const auto made = channel_gradients<float, float>(
        layer.statistics[c], layer.statistics[shape.channels + c], layer.weight[c], first, second,
        static_cast<float>(shape.rows), training);
    rows_of_coefficients[c] = made.input.centre;
    rows_of_coefficients[shape.channels + c] = made.input.scale;
    rows_of_coefficients[2 * shape.channels + c] = made.input.slope;
    rows_of_coefficients[3 * shape.channels + c] = made.input.offset;
    double size = 0;  // of what is added up
    for (int64_t r = 0; r < shape.rows; ++r) {
      sum_g[c] += behind(r, c);
      sum_gx[c] += behind(r, c) * layer.normalised(r, c);
      size += std::abs(behind(r, c)) * (1 + std::abs(layer.normalised(r, c)));
    }
    EXPECT_NEAR(made.beta, sum_g[c], 1e-6 * size);
    EXPECT_NEAR(made.gamma, sum_gx[c], 1e-6 * size);
  }
  Matrix<T> dx(shape), dr(shape);
  for_each_thread<kWidth>(shape, Work::kMap, [&](RowRange rows, int, int64_t channel) {
    input_gradients_of_thread<kWidth>(in, layer.data(), rows_of_coefficients.data(), rows,
                                      shape.channels, channel, dx.data.get(), dr.data.get());
  });
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      double inner = behind(r, c);
      if (training) inner -= sum_g[c] / n + layer.normalised(r, c) * sum_gx[c] / n;
      const double factor = layer.weight[c] * layer.inverses[c];
      const double expected = factor * inner;
      ASSERT_NEAR(dx.at(r, c), expected,
                  4e-6 * std::abs(factor) + layer.rounding * std::abs(expected));
      ASSERT_EQ(dr.at(r, c), behind(r, c));
    }
  }
}

template <typename T, int kWidth>
void check(MatrixShape shape, double mean, double deviation, double rounding) {
  SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.channels << ", width " << kWidth);
  Layer<T, kWidth> layer(shape, mean, deviation, rounding);
  layer.work_out_reference();
  check_statistics(layer);
  for (const bool with_residual : {false, true}) {
    for (const bool relu : {false, true}) check_forward(layer, with_residual, relu);
  }
  for (const auto rectifier : {Rectifier::kNone, Rectifier::kOfInput, Rectifier::kOfOutput}) {
    for (const bool training : {false, true}) check_backward(layer, rectifier, training);
  }
}

TEST(FusedThreads, Float32EqualsFloat64) {
  check<float, 1>({2, 3}, 0.5, 2, 1e-6);
  check<float, 1>({1000, 37}, 0.5, 2, 1e-6);
  check<float, 4>({3, 8}, 0.5, 2, 1e-6);
  check<float, 4>({5000, 64}, -0.3, 1, 1e-6);
  check<float, 4>({700, 132}, 4, 1, 1e-6);
  check<float, 4>({49, 1024}, 0.5, 2, 1e-6);
}

// Results are rounded to the type: half an ulp more.
TEST(FusedThreads, HalfTypesEqualFloat64UpToTheirRounding) {
  check<c10::Half, 8>({1000, 64}, 0.5, 2, std::ldexp(1.0, -11));
  check<c10::Half, 1>({77, 5}, 0.5, 2, std::ldexp(1.0, -11));
  check<c10::BFloat16, 8>({1000, 72}, 0.5, 2, std::ldexp(1.0, -8));
}

// Each element exactly once, whatever the shape.
TEST(FusedThreads, TheGridCoversEachElementOnce) {
  for (const auto& [shape, work] : {std::pair{MatrixShape{1, 8}, Work::kSum},
                                    {MatrixShape{7, 8}, Work::kMap},
                                    {MatrixShape{64, 256}, Work::kSum},
                                    {MatrixShape{2049, 24}, Work::kMap},
                                    {MatrixShape{100352, 8}, Work::kSum},
                                    {MatrixShape{600000, 8}, Work::kMap},
                                    {MatrixShape{9, 2048}, Work::kSum}}) {
    const ThreadGrid grid = thread_grid(shape, 8, work);
    EXPECT_EQ(grid.threads_x * grid.threads_y, 256);
    std::vector<int> seen(shape.rows * shape.channels);
    for_each_thread<8>(shape, work, [&](RowRange rows, int chunk, int64_t channel) {
      EXPECT_LE(rows.end, chunk * grid.chunk_rows + rows_of_chunk(grid, shape.rows, chunk));
      for (int64_t r = rows.begin; r < rows.end; r += rows.step) {
        for (int i = 0; i < 8; ++i) ++seen[r * shape.channels + channel + i];
      }
    });
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
  }
}

// The sums of all chunks, shifted by row 0 and added up by 32 threads as the second stage does.
TEST(FusedThreads, SumsWithOneShiftGiveTheMoments) {
  constexpr int kParts = 32;
  for (const double mean : {0.3, 1e3}) {
    const Matrix<float> x({20000, 8}, 5, mean, 0.1);
    const MatrixShape shape = x.shape;
    const ThreadGrid grid = thread_grid(shape, 4, Work::kSum);
    ASSERT_GT(grid.chunks, kParts);
    std::vector<float> partial(static_cast<size_t>(grid.chunks) * 2 * shape.channels);
    for_each_thread<4>(shape, Work::kSum, [&](RowRange rows, int chunk, int64_t channel) {
      const auto sums = sum_squares_of_thread<4>(x.data.get(), 0, rows, shape.channels, channel);
      for (int i = 0; i < 4; ++i) {
        float* of_chunk = &partial[chunk * 2 * shape.channels + channel + i];
        of_chunk[0] += sums.first.of[i];
        of_chunk[shape.channels] += sums.second.of[i];
      }
    });
    const Matrix<double> wide = exact(x);
    for (int64_t c = 0; c < shape.channels; ++c) {
      float first = 0, second = 0;
      for (int part = 0; part < kParts; ++part) {
        const auto sums =
            sum_chunks_of_thread(partial.data(), part, grid.chunks, kParts, shape.channels, c);
        first += sums.first.of[0];
        second += sums.second.of[0];
      }
      const auto rows = static_cast<float>(shape.rows);
      const auto m = moments_of_sums(rows, static_cast<float>(x.at(0, c)), first, second);
      EXPECT_NEAR(m.mean, mean_of(wide, c), 1e-7 * mean + 1e-7);
      EXPECT_NEAR(m.squares / m.count / variance_of(wide, c), 1, 1e-5);
    }
  }
}

// As many blocks as the device holds at a time, with about the same number of rows; fewer only
// where a thread would have too few rows.
TEST(FusedThreads, TheGridIsOneWave) {
  for (const int64_t wave : {1, 7, 396, 1056}) {
    for (const Work work : {Work::kSum, Work::kMap}) {
      for (const auto& [rows, channels] :
           {std::pair<int64_t, int64_t>{1605632, 64}, {401408, 256}, {25088, 1024}, {6272, 2048}}) {
        const ThreadGrid grid = thread_grid({rows, channels}, 8, work, wave);
        const int64_t blocks = static_cast<int64_t>(grid.blocks_x) * grid.chunks;
        EXPECT_LE(blocks, std::max<int64_t>(wave, grid.blocks_x));
        const int64_t least = work == Work::kSum ? 4 : 8;
        if (rows / grid.threads_y / least * grid.blocks_x < wave) continue;
        EXPECT_GE(blocks + blocks / 8 + grid.blocks_x, wave) << rows << " x " << channels;
      }
    }
  }
}

// g is the sum of both gradients, behind the ReLU.
TEST(FusedThreads, GradientsOfTwoReadersAreAdded) {
  const MatrixShape shape{100, 16};
  Layer<float, 4> layer(shape, 0.5, 2, 1e-6);
  const Matrix<float> other(shape, 9, 0, 1), y = forward_of(layer, true, true);
  Matrix<float> sum(shape), dx(shape), dr(shape), expected(shape), expected_r(shape);
  for (int64_t i = 0; i < sum.size(); ++i) {
    sum.data[i] = layer.gradient.data[i] + other.data[i];
  }
  const std::vector<float> coefficients(4 * shape.channels, 0.25F);
  const auto backward = [&](const ThreadGradient<float>& in, Matrix<float>& x, Matrix<float>& r) {
    for_each_thread<4>(shape, Work::kMap, [&](RowRange rows, int, int64_t channel) {
      input_gradients_of_thread<4>(in, layer.data(), coefficients.data(), rows, shape.channels,
                                   channel, x.data.get(), r.data.get());
    });
  };
  const float* x = layer.x.data.get();
  backward({layer.gradient.data.get(), x, y.data.get(), Rectifier::kOfOutput, other.data.get()}, dx,
           dr);
  backward({sum.data.get(), x, y.data.get(), Rectifier::kOfOutput, nullptr}, expected, expected_r);
  for (int64_t i = 0; i < dx.size(); ++i) {
    ASSERT_EQ(dx.data[i], expected.data[i]);
    ASSERT_EQ(dr.data[i], expected_r.data[i]);
  }
}

TEST(FusedThreads, MergedMomentsAreThoseOfTheWhole) {
  const auto of = [](std::vector<double> values) {
    double sum = 0, squares = 0;
    for (double v : values) {
      sum += v - values[0];
      squares += (v - values[0]) * (v - values[0]);
    }
    return moments_of_sums(static_cast<double>(values.size()), values[0], sum, squares);
  };
  const Moments<double> whole = of({1, 2, 4, 8, 16}), merged = merge(of({1, 2}), of({4, 8, 16}));
  EXPECT_NEAR(whole.mean, 6.2, 1e-14);
  EXPECT_NEAR(whole.squares, 148.8, 1e-12);
  EXPECT_NEAR(merged.mean, whole.mean, 1e-14);
  EXPECT_NEAR(merged.squares, whole.squares, 1e-12);
  EXPECT_EQ(merge({}, whole).mean, whole.mean);
  EXPECT_EQ(merge(whole, {}).count, 5);
}

}  // namespace
}  // namespace resnext
