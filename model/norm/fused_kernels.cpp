// The vector loops. This file is compiled once for each instruction set (foreach_target.h).
// SPDX-License-Identifier: BSD-3-Clause
#include "model/norm/fused_kernels.h"

#include <hwy/cache_control.h>

#include <algorithm>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/norm/fused_kernels.cpp"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace resnext {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Rows whose values are added up in T before they go into double.
constexpr int64_t kRun = 16;

// Calls body(tag, c) for whole vectors of channels, then one by one for what is left over.
template <typename T, class Body>
HWY_INLINE void ForEachChannel(int64_t channels, const Body& body) {
  const hn::ScalableTag<T> vector;
  const auto step = static_cast<int64_t>(hn::Lanes(vector));
  int64_t c = 0;
  for (; c + step <= channels; c += step) body(vector, c);
  for (; c < channels; ++c) body(hn::CappedTag<T, 1>(), c);
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

// Adds to sums[0] and sums[1] what term(d, row, c, first, second) adds to its two vectors. Row
// after row, with the running sums in the cache: one stream from memory serves the prefetchers best
// (sums of several rows in registers were up to twice as slow).
template <typename T, class Term>
HWY_INLINE void SumRows(MatrixShape shape, const Term& term, double* sums) {
  const int64_t channels = shape.channels;
  std::vector<T> run(static_cast<size_t>(2 * channels));
  T* HWY_RESTRICT firsts = run.data();
  T* HWY_RESTRICT seconds = run.data() + channels;
  std::fill_n(sums, 2 * channels, 0.0);
  for (int64_t begin = 0; begin < shape.rows; begin += kRun) {
    const int64_t end = std::min(begin + kRun, shape.rows);
    for (int64_t r = begin; r < end; ++r) {
      ForEachChannel<T>(channels, [&](auto d, int64_t c) HWY_ATTR {
        auto first = r == begin ? hn::Zero(d) : hn::LoadU(d, firsts + c);
        auto second = r == begin ? hn::Zero(d) : hn::LoadU(d, seconds + c);
        term(d, r * channels, c, first, second);
        hn::StoreU(first, d, firsts + c);
        hn::StoreU(second, d, seconds + c);
      });
    }
    ForEachChannel<T>(channels, [&](auto d, int64_t c) HWY_ATTR {
      AddTo(d, hn::LoadU(d, firsts + c), sums + c);
      AddTo(d, hn::LoadU(d, seconds + c), sums + channels + c);
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

// The gradient at element `row + c` behind the ReLU, of all readers.
template <Rectifier kRectifier, typename T, class D>
HWY_INLINE hn::Vec<D> BehindRelu(D d, const GradientInput<T>& in, int64_t channels, int64_t row,
                                 int64_t c) {
  auto g = hn::LoadU(d, in.gradient + row + c);
  if (in.other) g = hn::Add(g, hn::LoadU(d, in.other + row + c));
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
  for (int64_t row = 0; row < shape.rows * shape.channels; row += shape.channels) {
    ForEachChannel<T>(shape.channels, [&](auto d, int64_t c) HWY_ATTR {
      auto y = Normalised(d, x + row + c, coefficients + c, shape.channels);
      if constexpr (kAdd) y = hn::Add(y, hn::LoadU(d, residual + row + c));
      if constexpr (kRelu) y = hn::IfThenZeroElse(hn::Lt(y, hn::Zero(d)), y);
      Put<kStream>(d, y, output + row + c);
    });
  }
}

template <bool kStream, Rectifier kRectifier, bool kResidual, typename T>
void InputGradients(const GradientInput<T>& in, const T* HWY_RESTRICT coefficients,
                    MatrixShape shape, T* HWY_RESTRICT input_gradient,
                    T* HWY_RESTRICT residual_gradient) {
  const int64_t channels = shape.channels;
  for (int64_t row = 0; row < shape.rows * channels; row += channels) {
    ForEachChannel<T>(channels, [&](auto d, int64_t c) HWY_ATTR {
      const auto centre = hn::LoadU(d, coefficients + c);
      const auto scale = hn::LoadU(d, coefficients + channels + c);
      const auto slope = hn::LoadU(d, coefficients + 2 * channels + c);
      const auto offset = hn::LoadU(d, coefficients + 3 * channels + c);
      const auto g = BehindRelu<kRectifier>(d, in, channels, row, c);
      const auto part = hn::MulAdd(hn::Sub(hn::LoadU(d, in.x + row + c), centre), slope, offset);
      Put<kStream>(d, hn::MulAdd(g, scale, part), input_gradient + row + c);
      if constexpr (kResidual) Put<kStream>(d, g, residual_gradient + row + c);
    });
  }
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
