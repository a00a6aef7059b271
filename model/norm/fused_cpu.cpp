// SPDX-License-Identifier: BSD-3-Clause
#include "model/norm/fused_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/norm/fused_kernels.h"
#include "model/norm/fused_math.h"

namespace resnext::cpu {
namespace {

// Elements of one piece of work: small enough to stay in a second-level cache.
constexpr int64_t kPieceElements = 1 << 15;

// From this size on the next operation would not find much of a tensor in the caches anyway.
constexpr size_t kCacheBytes = 16 << 20;

bool exceeds_caches(const at::Tensor& x) {
  return x.nbytes() >= kCacheBytes;
}

MatrixShape shape_of(const at::Tensor& x) {
  return {x.numel() / x.size(1), x.size(1)};
}

// A division of the rows into pieces, from the shape alone.
struct Pieces {
  MatrixShape whole;
  int64_t rows;  // of each but the last

  explicit Pieces(MatrixShape shape)
      : whole(shape), rows(std::max<int64_t>(16, kPieceElements / shape.channels)) {}
  int64_t count() const { return (whole.rows + rows - 1) / rows; }
  int64_t offset(int64_t piece) const { return piece * rows * whole.channels; }
  MatrixShape shape(int64_t piece) const {
    return {std::min(rows, whole.rows - piece * rows), whole.channels};
  }

  // Calls work(piece) for all pieces, on all threads.
  template <typename Work>
  void for_each(const Work& work) const {
    at::parallel_for(0, count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) work(piece);
    });
  }

  // From the last piece to the first: what was written last, and is still in a cache, comes first;
  // and what comes last is still there when for_each() starts.
  template <typename Work>
  void for_each_backwards(const Work& work) const {
    for_each([&](int64_t piece) { work(count() - 1 - piece); });
  }
};

template <typename T>
const T* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}

template <typename T>
const T* advanced(const T* data, int64_t offset) {
  return data ? data + offset : nullptr;
}

template <typename T>
GradientInput<T> advanced(const GradientInput<T>& in, int64_t offset) {
  return {in.gradient + offset,        in.x + offset, in.forward,
          advanced(in.output, offset), in.rectifier,  advanced(in.other, offset)};
}

template <typename T>
std::vector<Moments<double>> channel_moments(const T* x, MatrixShape shape) {
  const Pieces pieces(shape);
  const auto loops = norm_loops<T>();
  std::vector<double> sums(static_cast<size_t>(pieces.count() * 2 * shape.channels));
  pieces.for_each_backwards([&](int64_t p) {
    const T* first_row = x + pieces.offset(p);
    loops.sum_squares(first_row, first_row, pieces.shape(p), &sums[p * 2 * shape.channels]);
  });
  std::vector<Moments<double>> moments(static_cast<size_t>(shape.channels));
  for (int64_t p = 0; p < pieces.count(); ++p) {
    const double* piece = &sums[p * 2 * shape.channels];
    const auto rows = static_cast<double>(pieces.shape(p).rows);
    for (int64_t c = 0; c < shape.channels; ++c) {
      const auto shift = static_cast<double>(x[pieces.offset(p) + c]);
      moments[c] =
          merge(moments[c], moments_of_sums(rows, shift, piece[c], piece[shape.channels + c]));
    }
  }
  return moments;
}

std::vector<Moments<double>> moments_from(const at::Tensor& sums, int64_t rows) {
  const double* of = sums.const_data_ptr<double>();
  const int64_t channels = sums.size(1);
  std::vector<Moments<double>> moments(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c) {
    moments[c] = moments_of_sums(static_cast<double>(rows), 0.0, of[c], of[channels + c]);
  }
  return moments;
}

// As at::batch_norm, which keeps the unbiased variance (not a number for a single row).
template <typename T>
void move_running(const std::vector<Moments<double>>& moments, const NormParameters& norm) {
  T* mean = norm.running_mean.mutable_data_ptr<T>();
  T* var = norm.running_var.mutable_data_ptr<T>();
  const double keep = 1 - norm.momentum;
  for (size_t c = 0; c < moments.size(); ++c) {
    const Moments<double>& m = moments[c];
    mean[c] = static_cast<T>(norm.momentum * m.mean + keep * mean[c]);
    var[c] = static_cast<T>(norm.momentum * (m.squares / (m.count - 1)) + keep * var[c]);
  }
}

template <typename T>
at::Tensor statistics_of(const at::Tensor& x, const NormParameters& norm, bool training,
                         const at::Tensor& sums) {
  const MatrixShape shape = shape_of(x);
  at::Tensor statistics = at::empty({2, shape.channels}, at::TensorOptions().dtype(at::kDouble));
  double* mean = statistics.mutable_data_ptr<double>();
  double* inverse = mean + shape.channels;
  if (training) {
    const auto moments = sums.defined() ? moments_from(sums, shape.rows)
                                        : channel_moments(x.const_data_ptr<T>(), shape);
    if (norm.running_mean.defined()) move_running<T>(moments, norm);
    for (int64_t c = 0; c < shape.channels; ++c) {
      mean[c] = moments[c].mean;
      inverse[c] = 1 / std::sqrt(moments[c].squares / moments[c].count + norm.eps);
    }
  } else {
    for (int64_t c = 0; c < shape.channels; ++c) {
      mean[c] = norm.running_mean.const_data_ptr<T>()[c];
      inverse[c] = 1 / std::sqrt(norm.running_var.const_data_ptr<T>()[c] + norm.eps);
    }
  }
  return statistics;
}

// {centre, scale, offset}[channels]
template <typename T>
std::vector<T> forward_rows(const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& statistics) {
  const int64_t channels = statistics.size(1);
  const double* mean = statistics.const_data_ptr<double>();
  const T* gamma = weight.const_data_ptr<T>();
  const T* beta = bias.const_data_ptr<T>();
  std::vector<T> rows(static_cast<size_t>(3 * channels));
  for (int64_t c = 0; c < channels; ++c) {
    const auto k = forward_coefficients<T, double>(mean[c], mean[channels + c], gamma[c], beta[c]);
    rows[c] = k.centre;
    rows[channels + c] = k.scale;
    rows[2 * channels + c] = k.offset;
  }
  return rows;
}

template <typename T>
at::Tensor forward(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm,
                   const at::Tensor& statistics, bool relu) {
  const std::vector<T> coefficients = forward_rows<T>(norm.weight, norm.bias, statistics);
  const Pieces pieces(shape_of(x));
  const auto loops = norm_loops<T>();
  const bool stream = exceeds_caches(x);
  at::Tensor output = at::empty_like(x);
  const T* in = x.const_data_ptr<T>();
  const T* add = data_or_null<T>(residual);
  T* out = output.mutable_data_ptr<T>();
  pieces.for_each([&](int64_t p) {
    const int64_t at = pieces.offset(p);
    loops.normalise(in + at, advanced(add, at), coefficients.data(), pieces.shape(p), relu, stream,
                    out + at);
  });
  return output;
}

std::vector<double> values_of(const at::Tensor& sums) {
  const double* begin = sums.const_data_ptr<double>();
  return {begin, begin + sums.numel()};
}

// Sums over all rows of g, then of g * (x - centre).
template <typename T>
std::vector<double> gradient_sums(const GradientInput<T>& in, const Pieces& pieces) {
  const int64_t width = 2 * pieces.whole.channels;
  const auto loops = norm_loops<T>();
  std::vector<double> parts(static_cast<size_t>(pieces.count() * width));
  pieces.for_each_backwards([&](int64_t p) {
    loops.sum_gradients(advanced(in, pieces.offset(p)), pieces.shape(p), &parts[p * width]);
  });
  for (int64_t p = 1; p < pieces.count(); ++p) {
    for (int64_t i = 0; i < width; ++i) parts[i] += parts[p * width + i];
  }
  parts.resize(static_cast<size_t>(width));
  return parts;
}

// Fills in the parameters' gradients and gives {centre, scale, slope, offset}[channels].
template <typename T>
std::vector<T> backward_rows(const std::vector<double>& sums, const at::Tensor& weight,
                             const at::Tensor& statistics, double count, bool training,
                             const NormGradients& gradients) {
  const int64_t channels = statistics.size(1);
  const double* mean = statistics.const_data_ptr<double>();
  std::vector<T> rows(static_cast<size_t>(4 * channels));
  for (int64_t c = 0; c < channels; ++c) {
    const auto k =
        channel_gradients<T, double>(mean[c], mean[channels + c], weight.const_data_ptr<T>()[c],
                                     sums[c], sums[channels + c], count, training);
    rows[c] = k.input.centre;
    rows[channels + c] = k.input.scale;
    rows[2 * channels + c] = k.input.slope;
    rows[3 * channels + c] = k.input.offset;
    gradients.weight.mutable_data_ptr<T>()[c] = static_cast<T>(k.gamma);
    gradients.bias.mutable_data_ptr<T>()[c] = static_cast<T>(k.beta);
  }
  return rows;
}

template <typename T>
NormGradients backward(const OutputGradients& gradients, const NormSaved& saved,
                       bool want_residual) {
  const Pieces pieces(shape_of(saved.x));
  const std::vector<T> forward = forward_rows<T>(saved.weight, saved.bias, saved.statistics);
  const GradientInput<T> in{gradients.gradient.const_data_ptr<T>(),
                            saved.x.const_data_ptr<T>(),
                            forward.data(),
                            data_or_null<T>(saved.output),
                            saved.rectifier(),
                            data_or_null<T>(gradients.other)};
  NormGradients made{at::empty_like(saved.x),
                     want_residual ? at::empty_like(saved.x) : at::Tensor(),
                     at::empty_like(saved.weight), at::empty_like(saved.weight)};
  const std::vector<T> coefficients = backward_rows<T>(
      gradients.sums.defined() ? values_of(gradients.sums) : gradient_sums(in, pieces),
      saved.weight, saved.statistics, static_cast<double>(pieces.whole.rows), saved.training, made);
  T* input = made.input.mutable_data_ptr<T>();
  T* residual = want_residual ? made.residual.mutable_data_ptr<T>() : nullptr;
  const auto loops = norm_loops<T>();
  const bool stream = exceeds_caches(saved.x);
  pieces.for_each([&](int64_t p) {
    const int64_t at = pieces.offset(p);
    loops.input_gradients(advanced(in, at), coefficients.data(), pieces.shape(p), stream,
                          input + at, residual ? residual + at : nullptr);
  });
  return made;
}

}  // namespace

at::Tensor norm_statistics(const at::Tensor& x, const NormParameters& norm, bool training,
                           const at::Tensor& sums) {
  return x.scalar_type() == at::kDouble ? statistics_of<double>(x, norm, training, sums)
                                        : statistics_of<float>(x, norm, training, sums);
}

at::Tensor norm_forward(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm,
                        const at::Tensor& statistics, bool relu) {
  return x.scalar_type() == at::kDouble ? forward<double>(x, residual, norm, statistics, relu)
                                        : forward<float>(x, residual, norm, statistics, relu);
}

NormGradients norm_backward(const OutputGradients& gradients, const NormSaved& saved,
                            bool want_residual) {
  return saved.x.scalar_type() == at::kDouble ? backward<double>(gradients, saved, want_residual)
                                              : backward<float>(gradients, saved, want_residual);
}

}  // namespace resnext::cpu
