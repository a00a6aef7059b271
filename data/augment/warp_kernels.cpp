// The vector loops. This file is compiled once for each instruction set (foreach_target.h), and
// multiply and add are not fused in it.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/warp_kernels.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/augment/warp_kernels.cpp"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace resnext {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kPixelBytes = 3;

void NearestPixels(const PositionLine& x, const PositionLine& y, int32_t width, int64_t count,
                   int32_t* HWY_RESTRICT bytes) {
  const auto at = [&](auto ints, int64_t i) {
    const auto lanes = hn::Iota(ints, 0);
    const auto pixel = [&](const PositionLine& line) {
      const auto first = hn::Set(ints, static_cast<int32_t>(line.start + i * line.step));
      const auto step = hn::Set(ints, static_cast<int32_t>(line.step));
      return hn::ShiftRight<kNearestBits>(hn::Add(first, hn::Mul(lanes, step)));
    };
    const auto place = hn::Add(hn::Mul(pixel(y), hn::Set(ints, width)), pixel(x));
    hn::StoreU(hn::Mul(place, hn::Set(ints, int32_t{kPixelBytes})), ints, bytes + i);
  };
  const hn::ScalableTag<int32_t> all;
  const auto step = static_cast<int64_t>(hn::Lanes(all));
  int64_t i = 0;
  for (; i + step <= count; i += step) at(all, i);
  for (; i < count; ++i) at(HWY_CAPPED(int32_t, 1)(), i);
}

// `d` of the way between the two in the middle of at(0), at(1), ...; of equal ones exactly theirs.
template <int kTaps, typename V, typename At>
V Between(const At& at, V d) {
  if constexpr (kTaps == 1) {
    return at(0);
  } else if constexpr (kTaps == 2) {
    const V first = at(0);
    return hn::Add(first, hn::Mul(hn::Sub(at(1), first), d));
  } else {
    const V v0 = at(0), v1 = at(1), v2 = at(2), v3 = at(3);
    const V change = hn::Sub(v0, v1);
    const V slope = hn::Sub(v2, v0);
    const V square = hn::Sub(hn::Add(hn::Add(change, change), v2), v3);
    const V cube = hn::Sub(v3, hn::Add(change, v2));
    const V curve = hn::Add(square, hn::Mul(d, cube));
    return hn::Add(v1, hn::Mul(d, hn::Add(slope, hn::Mul(d, curve))));
  }
}

HWY_INLINE float Fraction(int64_t position) {
  const auto fraction = static_cast<int32_t>(position >> (kBetweenBits - 24) & 0xffffff);
  return static_cast<float>(fraction) * 0x1p-24F;
}

template <typename D>
hn::Vec<hn::Rebind<uint8_t, D>> ToBytes(D, hn::Vec<D> v) {
  const auto ints = hn::ConvertTo(hn::Rebind<int32_t, D>(), v);
  return hn::DemoteTo(hn::Rebind<uint8_t, D>(), ints);
}

// Of as many bytes as there are lanes.
template <int kX, int kY, typename D>
hn::Vec<hn::Rebind<uint8_t, D>> Blend(D floats, const uint8_t* p, int64_t stride, float dx,
                                      float dy) {
  const hn::Rebind<int32_t, D> ints;
  const hn::Rebind<uint8_t, D> bytes;
  const auto vx = hn::Set(floats, dx), vy = hn::Set(floats, dy);
  const auto row = [&](int j) {
    const auto value = [&](int i) {
      const auto pixel = hn::LoadU(bytes, p + j * stride + i * kPixelBytes);
      return hn::ConvertTo(floats, hn::PromoteTo(ints, pixel));
    };
    return Between<kX>(value, vx);
  };
  return ToBytes(floats, Between<kY>(row, vy));
}

// Where all pixels are in a row and between the same neighbours' middles.
template <int kX, int kY>
void BlendEvenly(const uint8_t* in, int64_t stride, const PositionLine& x, const PositionLine& y,
                 int64_t count, uint8_t* HWY_RESTRICT out) {
  const float dx = Fraction(x.start), dy = Fraction(y.start);
  in += (y.start >> kBetweenBits) * stride + (x.start >> kBetweenBits) * kPixelBytes;
  const hn::ScalableTag<float> all;
  const auto at = [&](auto floats, int64_t i) {
    const auto value = Blend<kX, kY>(floats, in + i, stride, dx, dy);
    hn::StoreU(value, hn::Rebind<uint8_t, decltype(floats)>(), out + i);
  };
  const auto step = static_cast<int64_t>(hn::Lanes(all));
  int64_t i = 0;
  for (; i + step <= count * kPixelBytes; i += step) at(all, i);
  for (; i < count * kPixelBytes; ++i) at(HWY_CAPPED(float, 1)(), i);
}

// A pixel as four bytes, of which the last has no meaning.
template <int kX, int kY>
HWY_INLINE void BlendPixel(const uint8_t* p, int64_t stride, float dx, float dy,
                           uint8_t* HWY_RESTRICT out) {
  const HWY_CAPPED(float, 4) pixel;
  for (size_t k = 0; k < 4; k += hn::Lanes(pixel)) {
    const hn::Rebind<uint8_t, decltype(pixel)> bytes;
    hn::Store(Blend<kX, kY>(pixel, p + k, stride, dx, dy), bytes, out + k);
  }
}

// Four pixels as four bytes each; reads 16 bytes.
HWY_INLINE void SpreadFour(const uint8_t* p, uint8_t* HWY_RESTRICT bytes) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 4; ++i) std::memcpy(bytes + 4 * i, p + kPixelBytes * i, 4);
#else
  const HWY_CAPPED(uint8_t, 16) d;
  alignas(16) static constexpr uint8_t kFrom[16] = {0, 1, 2, 128, 3, 4,  5,  128,
                                                    6, 7, 8, 128, 9, 10, 11, 128};
  hn::Store(hn::TableLookupBytesOr0(hn::LoadU(d, p), hn::Load(d, kFrom)), d, bytes);
#endif
}

// The same of four columns: in each at once, then between them.
template <int kY>
HWY_INLINE void BlendPixelOfFour(const uint8_t* p, int64_t stride, float dx, float dy,
                                 uint8_t* HWY_RESTRICT out) {
  HWY_ALIGN uint8_t rows[kY][16];
  for (int j = 0; j < kY; ++j) SpreadFour(p + j * stride, rows[j]);
  HWY_ALIGN float columns[16];
  const HWY_CAPPED(float, 16) all;
  for (size_t k = 0; k < 16; k += hn::Lanes(all)) {
    const auto row = [&](int j) {
      const auto bytes = hn::Load(hn::Rebind<uint8_t, decltype(all)>(), rows[j] + k);
      return hn::ConvertTo(all, hn::PromoteTo(hn::Rebind<int32_t, decltype(all)>(), bytes));
    };
    hn::Store(Between<kY>(row, hn::Set(all, dy)), all, columns + k);
  }
  const HWY_CAPPED(float, 4) pixel;
  for (size_t k = 0; k < 4; k += hn::Lanes(pixel)) {
    const auto column = [&](int i) { return hn::Load(pixel, columns + 4 * i + k); };
    hn::Store(ToBytes(pixel, Between<4>(column, hn::Set(pixel, dx))),
              hn::Rebind<uint8_t, decltype(pixel)>(), out + k);
  }
}

// Each where it is.
template <int kX, int kY>
void BlendEach(const uint8_t* in, int64_t stride, const PositionLine& x, const PositionLine& y,
               int64_t count, uint8_t* HWY_RESTRICT out) {
  int64_t at_x = x.start, at_y = y.start;
  for (int64_t i = 0; i < count; ++i, at_x += x.step, at_y += y.step, out += kPixelBytes) {
    const uint8_t* p = in + (at_y >> kBetweenBits) * stride + (at_x >> kBetweenBits) * kPixelBytes;
    HWY_ALIGN uint8_t pixel[4];
    if constexpr (kX == 4) {
      BlendPixelOfFour<kY>(p, stride, Fraction(at_x), Fraction(at_y), pixel);
    } else {
      BlendPixel<kX, kY>(p, stride, Fraction(at_x), Fraction(at_y), pixel);
    }
    // The fourth byte is written again with the next pixel.
    i + 1 < count ? std::memcpy(out, pixel, 4) : std::memcpy(out, pixel, kPixelBytes);
  }
}

template <int kX, int kY>
void BlendRow(const uint8_t* in, int64_t stride, const PositionLine& x, const PositionLine& y,
              int64_t count, uint8_t* HWY_RESTRICT out) {
  const bool even = x.step == int64_t{1} << kBetweenBits && y.step == 0;
  (even ? BlendEvenly<kX, kY> : BlendEach<kX, kY>)(in, stride, x, y, count, out);
}

void BlendPixels(const uint8_t* in, int64_t stride, const PositionLine& x, const PositionLine& y,
                 const Taps& taps, int64_t count, uint8_t* HWY_RESTRICT out) {
  const auto with = [&](auto blend) { blend(in, stride, x, y, count, out); };
  switch (taps.along_row * 8 + taps.along_column) {
    case 1 * 8 + 1:
      return with(BlendRow<1, 1>);
    case 1 * 8 + 2:
      return with(BlendRow<1, 2>);
    case 2 * 8 + 1:
      return with(BlendRow<2, 1>);
    case 2 * 8 + 2:
      return with(BlendRow<2, 2>);
    case 1 * 8 + 4:
      return with(BlendRow<1, 4>);
    case 4 * 8 + 1:
      return with(BlendRow<4, 1>);
    default:
      return with(BlendRow<4, 4>);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace resnext
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace resnext {

HWY_EXPORT(NearestPixels);
HWY_EXPORT(BlendPixels);

void nearest_pixels(const PositionLine& x, const PositionLine& y, int64_t width, int64_t count,
                    int32_t* bytes) {
  HWY_DYNAMIC_DISPATCH(NearestPixels)(x, y, static_cast<int32_t>(width), count, bytes);
}

void blend_pixels(const uint8_t* in, int64_t stride, const PositionLine& x, const PositionLine& y,
                  const Taps& taps, int64_t count, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(BlendPixels)(in, stride, x, y, taps, count, out);
}

}  // namespace resnext
#endif
