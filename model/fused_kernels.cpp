// The vector loops. This file is compiled once for each instruction set (foreach_target.h).
// SPDX-License-Identifier: BSD-3-Clause
#include "model/fused_kernels.h"

#include <hwy/cache_control.h>

#include <algorithm>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/fused_kernels.cpp"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace resnext {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Rows whose values are added up in T before they go into double, and rows that share one load of
// the coefficients. Longer runs were slower: too many streams for the prefetchers.
constexpr int64_t kTile = 4;

// Calls body(tag, c) for whole vectors of channels, then one by one for what is left over.
template <typename T, class Body>
HWY_INLINE void ForEachChannel(int64_t channels, const Body& body) {
  const hn::ScalableTag<T> vector;
  const auto step = static_cast<int64_t>(hn::Lanes(vector));
  int64_t c = 0;
  for (; c + step <= channels; c += step) body(vector, c);
  for (; c < channels; ++c) body(hn::CappedTag<T, 1>(), c);
}

// Calls body(first, count constant) for tiles of kTile rows, then for single rows.
template <class Body>
HWY_INLINE void ForEachTile(int64_t rows, const Body& body) {
  int64_t r = 0;
  for (; r + kTile <= rows; r += kTile) body(r, std::integral_constant<int64_t, kTile>());
  for (; r < rows; ++r) body(r, std::integral_constant<int64_t, 1>());
}

template <class D>
HWY_INLINE void AddTo(D d, hn::Vec<D> values, double* sums) {
  using T = hn::TFromD<D>;
  if constexpr (hn::MaxLanes(D()) == 1) {
    *sums += static_cast<double>(hn::GetLane(values));
  } else if constexpr (sizeof(T) == sizeof(double)) {
    hn::StoreU(hn::Add(hn::LoadU(d, sums), values), d, sums);
  } else {
    const hn::ScalableTag<double> wide;
    const hn::Rebind<T, decltype(wide)> narrow;
    HWY_ALIGN T lanes[hn::MaxLanes(D())];
    hn::Store(values, d, lanes);
    for (size_t i = 0; i < hn::Lanes(d); i += hn::Lanes(wide)) {
      const auto promoted = hn::PromoteTo(wide, hn::LoadU(narrow, lanes + i));
      hn::StoreU(hn::Add(hn::LoadU(wide, sums + i), promoted), wide, sums + i);
    }
  }
}

// Adds to sums[0] and sums[1] what term(d, r, c, first, second) adds to its two vectors.
template <typename T, class Term>
HWY_INLINE void SumRows(MatrixShape shape, const Term& term, double* sums) {
  std::fill_n(sums, 2 * shape.channels, 0.0);
  for (int64_t begin = 0; begin < shape.rows; begin += kTile) {
    const int64_t end = std::min(begin + kTile, shape.rows);
    ForEachChannel<T>(shape.channels, [&](auto d, int64_t c) HWY_ATTR {
      auto first = hn::Zero(d);
      auto second = hn::Zero(d);
      for (int64_t r = begin; r < end; ++r) term(d, r * shape.channels, c, first, second);
      AddTo(d, first, sums + c);
      AddTo(d, second, sums + shape.channels + c);
    });
  }
}

template <typename T>
void SumSquares(const T* HWY_RESTRICT x, const T* HWY_RESTRICT shift, MatrixShape shape,
                double* HWY_RESTRICT sums) {
  const auto term = [&](auto d, int64_t row, int64_t c, auto& sum, auto& squares) HWY_ATTR {
    const auto value = hn::Sub(hn::LoadU(d, x + row + c), hn::LoadU(d, shift + c));
    sum = hn::Add(sum, value);
    squares = hn::MulAdd(value, value, squares);
  };
  SumRows<T>(shape, term, sums);
}

// Past the caches where asked: a vector at an aligned address only.
template <bool kStream, class D>
HWY_INLINE void Put(D d, hn::Vec<D> values, hn::TFromD<D>* to) {
  if constexpr (kStream) {
    hn::Stream(values, d, to);
  } else {
    hn::StoreU(values, d, to);
  }
}

template <typename T>
bool CanStream(const T* output, int64_t channels) {
  const size_t bytes = hn::Lanes(hn::ScalableTag<T>()) * sizeof(T);
  return reinterpret_cast<uintptr_t>(output) % bytes == 0 && channels * sizeof(T) % bytes == 0;
}

template <typename T, class D>
HWY_INLINE hn::Vec<D> Normalised(D d, const T* x, const T* coefficients, int64_t channels) {
  const auto centre = hn::LoadU(d, coefficients);
  const auto scale = hn::LoadU(d, coefficients + channels);
  const auto offset = hn::LoadU(d, coefficients + 2 * channels);
  return hn::MulAdd(hn::Sub(hn::LoadU(d, x), centre), scale, offset);
}

// The gradient at element `row + c` behind the ReLU.
template <Rectifier kRectifier, typename T, class D>
HWY_INLINE hn::Vec<D> BehindRelu(D d, const GradientInput<T>& in, int64_t channels, int64_t row,
                                 int64_t c) {
  const auto g = hn::LoadU(d, in.gradient + row + c);
  if constexpr (kRectifier == Rectifier::kNone) {
    return g;
  } else if constexpr (kRectifier == Rectifier::kOfOutput) {
    return hn::IfThenZeroElse(hn::Le(hn::LoadU(d, in.output + row + c), hn::Zero(d)), g);
  } else {
    const auto y = Normalised(d, in.x + row + c, in.forward + c, channels);
    return hn::IfThenZeroElse(hn::Le(y, hn::Zero(d)), g);
  }
}

template <Rectifier kRectifier, typename T>
void SumGradients(const GradientInput<T>& in, MatrixShape shape, double* HWY_RESTRICT sums) {
  const auto term = [&](auto d, int64_t row, int64_t c, auto& sum, auto& products) HWY_ATTR {
    const auto g = BehindRelu<kRectifier>(d, in, shape.channels, row, c);
    const auto value = hn::Sub(hn::LoadU(d, in.x + row + c), hn::LoadU(d, in.forward + c));
    sum = hn::Add(sum, g);
    products = hn::MulAdd(g, value, products);
  };
  SumRows<T>(shape, term, sums);
}

template <bool kStream, bool kAdd, bool kRelu, typename T>
void Normalise(const T* HWY_RESTRICT x, const T* HWY_RESTRICT residual,
               const T* HWY_RESTRICT coefficients, MatrixShape shape, T* HWY_RESTRICT output) {
  const int64_t channels = shape.channels;
  ForEachTile(shape.rows, [&](int64_t first, auto tile) HWY_ATTR {
    ForEachChannel<T>(channels, [&](auto d, int64_t c) HWY_ATTR {
      for (int64_t i = 0; i < tile; ++i) {
        const int64_t at = (first + i) * channels + c;
        auto y = Normalised(d, x + at, coefficients + c, channels);
        if constexpr (kAdd) y = hn::Add(y, hn::LoadU(d, residual + at));
        if constexpr (kRelu) y = hn::IfThenZeroElse(hn::Lt(y, hn::Zero(d)), y);
        Put<kStream>(d, y, output + at);
      }
    });
  });
}

template <bool kStream, Rectifier kRectifier, bool kResidual, typename T>
void InputGradients(const GradientInput<T>& in, const T* HWY_RESTRICT coefficients,
                    MatrixShape shape, T* HWY_RESTRICT input_gradient,
                    T* HWY_RESTRICT residual_gradient) {
  const int64_t channels = shape.channels;
  ForEachTile(shape.rows, [&](int64_t first, auto tile) HWY_ATTR {
    ForEachChannel<T>(channels, [&](auto d, int64_t c) HWY_ATTR {
      const auto centre = hn::LoadU(d, coefficients + c);
      const auto scale = hn::LoadU(d, coefficients + channels + c);
      const auto slope = hn::LoadU(d, coefficients + 2 * channels + c);
      const auto offset = hn::LoadU(d, coefficients + 3 * channels + c);
      for (int64_t i = 0; i < tile; ++i) {
        const int64_t row = (first + i) * channels;
        const auto g = BehindRelu<kRectifier>(d, in, channels, row, c);
        const auto part = hn::MulAdd(hn::Sub(hn::LoadU(d, in.x + row + c), centre), slope, offset);
        Put<kStream>(d, hn::MulAdd(g, scale, part), input_gradient + row + c);
        if constexpr (kResidual) Put<kStream>(d, g, residual_gradient + row + c);
      }
    });
  });
}

// ---- instances
// -----------------------------------------------------------------------------------
template <bool kStream, typename T>
void ChooseFollowing(const T* x, const T* residual, const T* coefficients, MatrixShape shape,
                     bool relu, T* output) {
  const auto with_add =
      relu ? &Normalise<kStream, true, true, T> : &Normalise<kStream, true, false, T>;
  const auto without =
      relu ? &Normalise<kStream, false, true, T> : &Normalise<kStream, false, false, T>;
  (residual ? with_add : without)(x, residual, coefficients, shape, output);
}

template <typename T>
void ChooseNormalise(const T* x, const T* residual, const T* coefficients, MatrixShape shape,
                     bool relu, bool stream, T* output) {
  if (stream && CanStream(output, shape.channels)) {
    ChooseFollowing<true>(x, residual, coefficients, shape, relu, output);
    hwy::FlushStream();
  } else {
    ChooseFollowing<false>(x, residual, coefficients, shape, relu, output);
  }
}

template <typename T>
void ChooseSumGradients(const GradientInput<T>& in, MatrixShape shape, double* sums) {
  switch (in.rectifier) {
    case Rectifier::kNone:
      return SumGradients<Rectifier::kNone>(in, shape, sums);
    case Rectifier::kOfInput:
      return SumGradients<Rectifier::kOfInput>(in, shape, sums);
    case Rectifier::kOfOutput:
      return SumGradients<Rectifier::kOfOutput>(in, shape, sums);
  }
}

template <bool kStream, Rectifier kRectifier, typename T>
void ChooseResidual(const GradientInput<T>& in, const T* coefficients, MatrixShape shape,
                    T* input_gradient, T* residual_gradient) {
  const auto run = residual_gradient ? &InputGradients<kStream, kRectifier, true, T>
                                     : &InputGradients<kStream, kRectifier, false, T>;
  run(in, coefficients, shape, input_gradient, residual_gradient);
}

template <bool kStream, typename T>
void ChooseRectifier(const GradientInput<T>& in, const T* coefficients, MatrixShape shape,
                     T* input_gradient, T* residual_gradient) {
  const auto run = in.rectifier == Rectifier::kNone ? &ChooseResidual<kStream, Rectifier::kNone, T>
                   : in.rectifier == Rectifier::kOfInput
                       ? &ChooseResidual<kStream, Rectifier::kOfInput, T>
                       : &ChooseResidual<kStream, Rectifier::kOfOutput, T>;
  run(in, coefficients, shape, input_gradient, residual_gradient);
}

template <typename T>
void ChooseInputGradients(const GradientInput<T>& in, const T* coefficients, MatrixShape shape,
                          bool stream, T* input_gradient, T* residual_gradient) {
  const bool aligned = CanStream(input_gradient, shape.channels) &&
                       (!residual_gradient || CanStream(residual_gradient, shape.channels));
  if (stream && aligned) {
    ChooseRectifier<true>(in, coefficients, shape, input_gradient, residual_gradient);
    hwy::FlushStream();
  } else {
    ChooseRectifier<false>(in, coefficients, shape, input_gradient, residual_gradient);
  }
}

template <typename T>
NormLoops<T> Loops() {
  return {&SumSquares<T>, &ChooseNormalise<T>, &ChooseSumGradients<T>, &ChooseInputGradients<T>};
}

NormLoops<float> FloatLoops() {
  return Loops<float>();
}
NormLoops<double> DoubleLoops() {
  return Loops<double>();
}

}  // namespace HWY_NAMESPACE
}  // namespace resnext
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace resnext {

HWY_EXPORT(FloatLoops);
HWY_EXPORT(DoubleLoops);

template <>
NormLoops<float> norm_loops<float>() {
  return HWY_DYNAMIC_DISPATCH(FloatLoops)();
}

template <>
NormLoops<double> norm_loops<double>() {
  return HWY_DYNAMIC_DISPATCH(DoubleLoops)();
}

}  // namespace resnext
#endif
