// Shapes and per-channel arithmetic of the fused normalisation layers, for the CPU and for GPU
// kernels.
//
// S is the type of statistics, A that of the arithmetic on activations. Channel values are kept
// relative to `centre`, the mean rounded to A; what rounding lost goes into the offset, so a mean
// far greater than the deviation costs no accuracy. Pure functions, no dependencies.
// Formulas: Ioffe and Szegedy 2015 (arXiv 1502.03167), section 3; merging of moments: Chan, Golub
// and LeVeque 1983, The American Statistician 37(3), equation 2.1.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define RESNEXT_HOST_DEVICE __host__ __device__
#else
#define RESNEXT_HOST_DEVICE
#endif

namespace resnext {

struct MatrixShape {
  int64_t rows = 0;
  int64_t channels = 0;
};

// How backward knows where the ReLU was zero: there is none; from x, normalised once more, which
// spares reading the output; or from the output, where something was added.
enum class Rectifier { kNone, kOfInput, kOfOutput };

// Of a set of values: how many, their mean, and the sum of squared deviations from it. All zero: of
// none.
template <typename S>
struct Moments {
  S count, mean, squares;
};

// From sums of (value - shift) and of its square.
template <typename S>
RESNEXT_HOST_DEVICE Moments<S> moments_of_sums(S count, S shift, S sum, S sum_of_squares) {
  const S mean = sum / count;
  const S squares = sum_of_squares - sum * mean;
  return {count, shift + mean, squares > 0 ? squares : squares * 0};  // NaN stays
}

template <typename S>
RESNEXT_HOST_DEVICE Moments<S> merge(const Moments<S>& a, const Moments<S>& b) {
  if (a.count == 0) return b;
  if (b.count == 0) return a;
  const S count = a.count + b.count;
  const S distance = b.mean - a.mean;
  return {count, a.mean + distance * (b.count / count),
          a.squares + b.squares + distance * distance * (a.count * b.count / count)};
}

// output = (x - centre) * scale + offset
template <typename A>
struct ForwardCoefficients {
  A centre, scale, offset;
};

template <typename A, typename S>
RESNEXT_HOST_DEVICE ForwardCoefficients<A> forward_coefficients(S mean, S inverse_deviation,
                                                                S gamma, S beta) {
  const A centre = static_cast<A>(mean);
  const S scale = gamma * inverse_deviation;
  return {centre, static_cast<A>(scale),
          static_cast<A>(beta - (mean - static_cast<S>(centre)) * scale)};
}

// dx = g * scale + (x - centre) * slope + offset, with g the gradient behind the ReLU.
template <typename A>
struct BackwardCoefficients {
  A centre, scale, slope, offset;
};

template <typename A, typename S>
struct ChannelGradients {
  BackwardCoefficients<A> input;
  S gamma, beta;
};

// From the sums over rows of g and of g * (x - centre). With the running statistics (not
// `training`) mean and deviation are constants.
template <typename A, typename S>
RESNEXT_HOST_DEVICE ChannelGradients<A, S> channel_gradients(S mean, S inverse_deviation, S gamma,
                                                             S sum_g, S sum_gx, S rows,
                                                             bool training) {
  const A centre = static_cast<A>(mean);
  const S lost = mean - static_cast<S>(centre);
  const S gamma_gradient = inverse_deviation * (sum_gx - lost * sum_g);
  const S scale = gamma * inverse_deviation;
  const S slope = training ? -scale * inverse_deviation * gamma_gradient / rows : 0;
  const S offset = training ? -scale * sum_g / rows - slope * lost : 0;
  return {{centre, static_cast<A>(scale), static_cast<A>(slope), static_cast<A>(offset)},
          gamma_gradient,
          sum_g};
}

// NaN passes both.
template <typename A>
RESNEXT_HOST_DEVICE A rectified(A value) {
  return value < 0 ? A(0) : value;
}

template <typename A>
RESNEXT_HOST_DEVICE A behind_rectifier(A gradient, A output) {
  return output <= 0 ? A(0) : gradient;
}

}  // namespace resnext
