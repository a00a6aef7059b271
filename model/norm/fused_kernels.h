// The loops of the fused normalisation layers on the CPU, for the machine's best vector unit.
//
// All matrices are [rows, channels], dense, T float or double; coefficients [channels]. Sums are
// those of model/norm/fused_math.h: short runs of rows are added up in T, the runs in double.
// Highway compiles each loop for several instruction sets and picks one at run time. `stream`: the
// output is larger than caches are, so it is written past them where its alignment allows that.
// Local; thread-safe on distinct outputs.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "model/norm/fused_math.h"

namespace resnext {

template <typename T>
struct GradientInput {
  const T* gradient;
  const T* x;
  const T* forward;  // {centre, scale, offset}[channels] of the forward pass
  const T* output;   // of kOfOutput only
  Rectifier rectifier;
  const T* other;  // the gradient of a second reader of the output, or null
};

template <typename T>
struct NormLoops {
  // sums[0][c], sums[1][c]: of x - shift and of its square.
  void (*sum_squares)(const T* x, const T* shift, MatrixShape shape, double* sums);

  // output = (x - centre) * scale + offset, plus the residual (unless null), through the ReLU if
  // `relu`. `coefficients` is {centre, scale, offset}[channels].
  void (*normalise)(const T* x, const T* residual, const T* coefficients, MatrixShape shape,
                    bool relu, bool stream, T* output);

  // sums[0][c], sums[1][c]: of g and of g * (x - centre), where g is the gradient, set to zero
  // where the ReLU gave zero.
  void (*sum_gradients)(const GradientInput<T>& in, MatrixShape shape, double* sums);

  // input_gradient = g * scale + (x - centre) * slope + offset; residual_gradient = g (unless
  // null). `coefficients` is {centre, scale, slope, offset}[channels].
  void (*input_gradients)(const GradientInput<T>& in, const T* coefficients, MatrixShape shape,
                          bool stream, T* input_gradient, T* residual_gradient);
};

// For float and double.
template <typename T>
NormLoops<T> norm_loops();

}  // namespace resnext
