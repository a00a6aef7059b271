// This file is compiled once for each instruction set (foreach_target.h).
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/layerwise_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/step/layerwise_loops.cpp"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace resnext {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most a cache line, so that no loop has a rest.
using Floats = hn::CappedTag<float, 16>;

// Four streams from memory at a time: one alone gets half of the bandwidth, as prefetchers stop at
// the end of each page.
double SumOfSquares(const float* HWY_RESTRICT x, int64_t n) {
  const hn::CappedTag<double, 8> wide;
  const hn::Rebind<float, decltype(wide)> narrow;
  const auto lanes = static_cast<int64_t>(hn::Lanes(wide));
  const auto add = [&](int64_t i, auto& sum) HWY_ATTR {
    const auto value = hn::PromoteTo(wide, hn::LoadU(narrow, x + i));
    sum = hn::MulAdd(value, value, sum);
  };
  auto a = hn::Zero(wide), b = a, c = a, d = a;
  const int64_t quarter = n / 4 / lanes * lanes;
  for (int64_t i = 0; i < quarter; i += lanes) {
    add(i, a);
    add(i + quarter, b);
    add(i + 2 * quarter, c);
    add(i + 3 * quarter, d);
  }
  for (int64_t i = 4 * quarter; i < n; i += lanes) add(i, a);
  return hn::GetLane(hn::SumOfLanes(wide, hn::Add(hn::Add(a, b), hn::Add(c, d))));
}

// Calls body(i) for each vector.
template <class Body>
HWY_INLINE void ForEachVector(int64_t n, const Body& body) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Floats()));
  for (int64_t i = 0; i < n; i += lanes) body(i);
}

HWY_INLINE hn::Vec<Floats> All(double number) {
  return hn::Set(Floats(), static_cast<float>(number));
}

template <bool kNesterov>
HWY_INLINE void LarsLoop(const LarsFactors& f, const float* HWY_RESTRICT g, float* HWY_RESTRICT m,
                         float* HWY_RESTRICT w, int64_t n) {
  const Floats d;
  const auto of_g = All(f.gradient), of_w = All(f.weight), momentum = All(f.momentum);
  ForEachVector(n, [&](int64_t i) HWY_ATTR {
    const auto old = hn::LoadU(d, w + i);
    const auto change = hn::MulAdd(of_g, hn::LoadU(d, g + i), hn::Mul(of_w, old));
    const auto now = hn::MulAdd(momentum, hn::LoadU(d, m + i), change);
    hn::StoreU(now, d, m + i);
    const auto taken = kNesterov ? hn::MulAdd(momentum, now, change) : now;
    hn::StoreU(hn::Sub(old, taken), d, w + i);
  });
}

void Lars(const LarsFactors& factors, const float* g, float* m, float* w, int64_t n) {
  const auto loop = factors.nesterov ? &LarsLoop<true> : &LarsLoop<false>;
  loop(factors, g, m, w, n);
}

void LambChange(const LambFactors& f, float* HWY_RESTRICT g_then_u, float* HWY_RESTRICT m,
                float* HWY_RESTRICT v, const float* HWY_RESTRICT w, int64_t n) {
  const Floats d;
  const auto of_g = All(f.gradient), beta1 = All(f.beta1), rest1 = All(1 - f.beta1);
  const auto beta2 = All(f.beta2), rest2 = All(1 - f.beta2);
  const auto of_m = All(f.of_m), of_v = All(f.of_v), eps = All(f.eps), decay = All(f.weight_decay);
  ForEachVector(n, [&](int64_t i) HWY_ATTR {
    const auto g = hn::Mul(of_g, hn::LoadU(d, g_then_u + i));
    const auto mean = hn::MulAdd(rest1, g, hn::Mul(beta1, hn::LoadU(d, m + i)));
    const auto square = hn::MulAdd(hn::Mul(rest2, g), g, hn::Mul(beta2, hn::LoadU(d, v + i)));
    hn::StoreU(mean, d, m + i);
    hn::StoreU(square, d, v + i);
    const auto below = hn::MulAdd(of_v, hn::Sqrt(square), eps);
    const auto adapted = hn::Div(hn::Mul(of_m, mean), below);
    hn::StoreU(hn::MulAdd(decay, hn::LoadU(d, w + i), adapted), d, g_then_u + i);
  });
}

void Subtract(double factor, const float* HWY_RESTRICT u, float* HWY_RESTRICT w, int64_t n) {
  const Floats d;
  const auto of_u = All(factor);
  ForEachVector(n, [&](int64_t i) HWY_ATTR {
    hn::StoreU(hn::NegMulAdd(of_u, hn::LoadU(d, u + i), hn::LoadU(d, w + i)), d, w + i);
  });
}

LayerwiseLoops Loops() {
  return {&SumOfSquares, &Lars, &LambChange, &Subtract};
}

}  // namespace HWY_NAMESPACE
}  // namespace resnext
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace resnext {

HWY_EXPORT(Loops);

LayerwiseLoops layerwise_loops() {
  return HWY_DYNAMIC_DISPATCH(Loops)();
}

}  // namespace resnext
#endif
