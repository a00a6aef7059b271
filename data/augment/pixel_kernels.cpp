// The vector loops. This file is compiled once for each instruction set (foreach_target.h).
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/pixel_kernels.h"

#include <hwy/cache_control.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/augment/pixel_kernels.cpp"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace resnext {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int32_t kHalfUnit = 1 << (kWeightBits - 1);

// Pixels of kRowsAtOnce rows, four bytes each, one column after another; the fourth byte has no
// meaning.
void Interleave(const RowGroup& in, uint8_t* HWY_RESTRICT columns) {
  static_assert(kRowsAtOnce == 4);
  const uint8_t* rows[kRowsAtOnce];
  for (int64_t r = 0; r < kRowsAtOnce; ++r) {
    rows[r] = in.pixels + std::min(r, in.rows - 1) * in.stride;
  }
  int64_t x = 0;
#if HWY_TARGET != HWY_SCALAR
  // Four pixels of each row, then four columns of them.
  const hn::FixedTag<uint8_t, 16> bytes;
  const hn::FixedTag<uint32_t, 4> pixels;
  const hn::FixedTag<uint64_t, 2> pairs;
  HWY_ALIGN static constexpr uint8_t kSpread[16] = {0, 1, 2, 2, 3, 4,  5,  5,
                                                    6, 7, 8, 8, 9, 10, 11, 11};
  const auto spread = hn::Load(bytes, kSpread);
  const auto four_of = [&](int64_t r) {
    return hn::BitCast(pixels, hn::TableLookupBytes(hn::LoadU(bytes, rows[r] + 3 * x), spread));
  };
  for (; 3 * x + 16 <= 3 * in.width; x += 4) {
    const auto a = four_of(0), b = four_of(1), c = four_of(2), d = four_of(3);
    const auto ab = hn::BitCast(pairs, hn::InterleaveLower(pixels, a, b));
    const auto cd = hn::BitCast(pairs, hn::InterleaveLower(pixels, c, d));
    const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(pixels, a, b));
    const auto cd_high = hn::BitCast(pairs, hn::InterleaveUpper(pixels, c, d));
    uint8_t* const to = columns + x * kColumnBytes;
    const auto store = [&](auto column, int64_t k) {
      hn::StoreU(hn::BitCast(bytes, column), bytes, to + k * kColumnBytes);
    };
    store(hn::InterleaveLower(pairs, ab, cd), 0);
    store(hn::InterleaveUpper(pairs, ab, cd), 1);
    store(hn::InterleaveLower(pairs, ab_high, cd_high), 2);
    store(hn::InterleaveUpper(pairs, ab_high, cd_high), 3);
  }
#endif
  for (; x < in.width; ++x) {
    for (int64_t r = 0; r < kRowsAtOnce; ++r) {
      std::memcpy(columns + x * kColumnBytes + 4 * r, rows[r] + 3 * x, 3);
    }
  }
}

#if HWY_TARGET != HWY_SCALAR
// Pixels of four values, one after another, to places `stride` values apart.
template <class V>
void SpreadPixels(V bytes, uint8_t* to, int64_t stride) {
  const hn::RepartitionToWide<hn::RepartitionToWide<hn::DFromV<V>>> pixels;
  const auto all = hn::BitCast(pixels, bytes);
  for (size_t p = 0; p < hn::MaxLanes(pixels); ++p, to += stride) {
    const uint32_t pixel = hn::ExtractLane(all, p);
    std::memcpy(to, &pixel, sizeof(pixel));
  }
}

template <class V>
void SpreadPixels(V values, float* to, int64_t stride) {
  const hn::DFromV<V> lanes;
  if constexpr (hn::MaxLanes(lanes) > 4) {
    const hn::Half<decltype(lanes)> half;
    SpreadPixels(hn::LowerHalf(half, values), to, stride);
    SpreadPixels(hn::UpperHalf(half, values), to + hn::MaxLanes(lanes) / 8 * stride, stride);
  } else {
    hn::StoreU(values, lanes, to);
  }
}
#endif

// Rows of T from weights W: accumulate(value, weight, sum) takes int32 lanes, finish(sum) makes
// values of W lanes.
template <typename W, typename T, typename Accumulate, typename Finish>
void WeighRows(const RowGroup& in, const WeightTable<W>& table, int64_t out_width,
               uint8_t* HWY_RESTRICT columns, T* HWY_RESTRICT out, W initial,
               const Accumulate& accumulate, const Finish& finish) {
  Interleave(in, columns);
  const HWY_CAPPED(W, kColumnBytes) lanes;
  const hn::Rebind<int32_t, decltype(lanes)> ints;
  const hn::Rebind<uint8_t, decltype(lanes)> bytes;
  const hn::Rebind<T, decltype(lanes)> values;
  constexpr auto kStep = static_cast<int64_t>(hn::MaxLanes(lanes));
  const int64_t stride = out_width * 3;
  const auto weigh = [&](int64_t i, int64_t k) {
    const W* weight = table.weights + i * table.taps;
    const uint8_t* column = columns + table.first[i] * kColumnBytes + k;
    auto sum = hn::Set(lanes, initial);
    const auto take = [&](int64_t t) {
      const auto value = hn::PromoteTo(ints, hn::LoadU(bytes, column + t * kColumnBytes));
      sum = accumulate(value, hn::Set(lanes, weight[t]), sum);
    };
    const int64_t used = table.used[i];
    if (used == 2) {
      take(0);
      take(1);
    } else if (used == 4) {
      take(0);
      take(1);
      take(2);
      take(3);
    } else {
      for (int64_t t = 0; t < used; ++t) take(t);
    }
    return finish(sum);
  };
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  // The fourth value is written again with the next pixel.
  for (; in.rows == kRowsAtOnce && i + 1 < out_width; ++i, out += 3) {
    for (int64_t k = 0; k < kColumnBytes; k += kStep) {
      SpreadPixels(weigh(i, k), out + k / 4 * stride, stride);
    }
  }
#endif
  HWY_ALIGN T result[kColumnBytes];
  for (; i < out_width; ++i, out += 3) {
    for (int64_t k = 0; k < kColumnBytes; k += kStep) hn::Store(weigh(i, k), values, result + k);
    for (int64_t r = 0; r < in.rows; ++r)
      std::memcpy(out + r * stride, result + 4 * r, 3 * sizeof(T));
  }
}

void SumAlongRows(const RowGroup& in, const WeightTable<int32_t>& table, int64_t out_width,
                  uint8_t* columns, uint8_t* out) {
  WeighRows(
      in, table, out_width, columns, out, kHalfUnit,
      [](auto value, auto weight, auto sum) { return hn::Add(sum, hn::Mul(value, weight)); },
      [](auto sum) {
        const hn::Rebind<uint8_t, hn::DFromV<decltype(sum)>> bytes;
        return hn::DemoteTo(bytes, hn::ShiftRight<kWeightBits>(sum));
      });
}

void BlendAlongRows(const RowGroup& in, const WeightTable<float>& table, int64_t out_width,
                    const PixelMap& map, uint8_t* columns, float* out) {
  // Of pixels of four values: the matrix's columns, one for each colour, and the shift.
  HWY_ALIGN float terms[4][kColumnBytes] = {};
  for (int64_t i = 0; i < kColumnBytes; ++i) {
    const int64_t c = i % 4;
    for (int64_t from = 0; from < 3 && c < 3; ++from) terms[from][i] = map.matrix[c * 3 + from];
    if (c < 3) terms[3][i] = map.shift[c];
  }
  WeighRows(
      in, table, out_width, columns, out, 0.0F,
      [](auto value, auto weight, auto sum) {
        return hn::MulAdd(hn::ConvertTo(hn::DFromV<decltype(sum)>(), value), weight, sum);
      },
      [&](auto sum) {
        const hn::DFromV<decltype(sum)> lanes;
        if constexpr (hn::MaxLanes(lanes) < 4) {
          return sum;
        } else {
          auto mapped = hn::Load(lanes, terms[3]);
          mapped = hn::MulAdd(hn::Broadcast<0>(sum), hn::Load(lanes, terms[0]), mapped);
          mapped = hn::MulAdd(hn::Broadcast<1>(sum), hn::Load(lanes, terms[1]), mapped);
          return hn::MulAdd(hn::Broadcast<2>(sum), hn::Load(lanes, terms[2]), mapped);
        }
      });
  if constexpr (hn::MaxLanes(HWY_CAPPED(float, kColumnBytes)()) < 4) {
    for (int64_t i = 0; i < in.rows * out_width; ++i, out += 3) {
      const float colour[3] = {out[0], out[1], out[2]};
      for (int c = 0; c < 3; ++c) {
        out[c] = terms[3][c];
        for (int from = 0; from < 3; ++from) out[c] += terms[from][c] * colour[from];
      }
    }
  }
}

void SumAlongColumn(const uint8_t* HWY_RESTRICT in, int64_t stride,
                    const int32_t* HWY_RESTRICT weights, int64_t used, int64_t count,
                    uint8_t* HWY_RESTRICT out) {
  const hn::ScalableTag<int32_t> lanes;
  const hn::Rebind<uint8_t, decltype(lanes)> bytes;
  const auto step = static_cast<int64_t>(hn::Lanes(lanes));
  int64_t x = 0;
  for (; x + 2 * step <= count; x += 2 * step) {
    auto low = hn::Set(lanes, kHalfUnit);
    auto high = low;
    const uint8_t* row = in + x;
    for (int64_t t = 0; t < used; ++t, row += stride) {
      const auto weight = hn::Set(lanes, weights[t]);
      low = hn::Add(low, hn::Mul(hn::PromoteTo(lanes, hn::LoadU(bytes, row)), weight));
      high = hn::Add(high, hn::Mul(hn::PromoteTo(lanes, hn::LoadU(bytes, row + step)), weight));
    }
    hn::StoreU(hn::DemoteTo(bytes, hn::ShiftRight<kWeightBits>(low)), bytes, out + x);
    hn::StoreU(hn::DemoteTo(bytes, hn::ShiftRight<kWeightBits>(high)), bytes, out + x + step);
  }
  for (; x < count; ++x) {
    int32_t sum = kHalfUnit;
    for (int64_t t = 0; t < used; ++t) sum += weights[t] * in[x + t * stride];
    out[x] = static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
  }
}

void BlendAlongColumn(const float* const (&rows)[4], const float (&weights)[4], int64_t count,
                      float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> lanes;
  const auto step = static_cast<int64_t>(hn::Lanes(lanes));
  const auto blend = [&](auto d, int64_t x) {
    auto sum = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, rows[0] + x));
    for (int t = 1; t < 4; ++t) {
      sum = hn::MulAdd(hn::Set(d, weights[t]), hn::LoadU(d, rows[t] + x), sum);
    }
    return sum;
  };
  // Past the caches where whole vectors can be: an image of a batch is not read again soon.
  const bool aligned = reinterpret_cast<uintptr_t>(out) % (static_cast<size_t>(step) * 4) == 0;
  int64_t x = 0;
  for (; aligned && x + step <= count; x += step) hn::Stream(blend(lanes, x), lanes, out + x);
  for (; x + step <= count; x += step) hn::StoreU(blend(lanes, x), lanes, out + x);
  const HWY_CAPPED(float, 1) one;
  for (; x < count; ++x) hn::StoreU(blend(one, x), one, out + x);
}

void SumColours(const PixelShares& in, double (&sums)[3]) {
  const HWY_CAPPED(float, kColumnBytes) lanes;
  const hn::Rebind<int32_t, decltype(lanes)> ints;
  const hn::Rebind<uint8_t, decltype(lanes)> bytes;
  const auto step = static_cast<int64_t>(hn::Lanes(lanes));
  // Three vectors are whole pixels. Columns that are none have no share.
  const int64_t values = 3 * in.width;
  const int64_t padded = (values + 3 * step - 1) / (3 * step) * (3 * step);
  auto first = hn::Zero(lanes), second = first, third = first;
  for (double& sum : sums) sum = 0;
  for (int64_t y = 0; y < in.height; ++y) {
    if (in.rows[y] == 0) continue;
    const uint8_t* pixels = in.pixels + y * in.stride;
    if (y * in.stride + padded > (in.height - 1) * in.stride + values) {
      for (int64_t x = 0; x < values; ++x) sums[x % 3] += in.rows[y] * in.columns[x] * pixels[x];
      continue;
    }
    auto a = hn::Zero(lanes), b = a, c = a;
    const auto add = [&](auto& sum, int64_t x) {
      const auto value = hn::ConvertTo(lanes, hn::PromoteTo(ints, hn::LoadU(bytes, pixels + x)));
      sum = hn::MulAdd(value, hn::LoadU(lanes, in.columns + x), sum);
    };
    for (int64_t x = 0; x < padded; x += 3 * step) {
      add(a, x);
      add(b, x + step);
      add(c, x + 2 * step);
    }
    const auto share = hn::Set(lanes, in.rows[y]);
    first = hn::MulAdd(a, share, first);
    second = hn::MulAdd(b, share, second);
    third = hn::MulAdd(c, share, third);
  }
  HWY_ALIGN float parts[3 * kColumnBytes];
  hn::Store(first, lanes, parts);
  hn::Store(second, lanes, parts + step);
  hn::Store(third, lanes, parts + 2 * step);
  for (int64_t i = 0; i < 3 * step; ++i) sums[i % 3] += parts[i];
}

}  // namespace HWY_NAMESPACE
}  // namespace resnext
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace resnext {

HWY_EXPORT(SumAlongRows);
HWY_EXPORT(SumAlongColumn);
HWY_EXPORT(BlendAlongRows);
HWY_EXPORT(BlendAlongColumn);
HWY_EXPORT(SumColours);

void sum_along_rows(const RowGroup& in, const WeightTable<int32_t>& table, int64_t out_width,
                    std::vector<uint8_t>& columns, uint8_t* out) {
  columns.resize(static_cast<size_t>(in.width * kColumnBytes));
  HWY_DYNAMIC_DISPATCH(SumAlongRows)(in, table, out_width, columns.data(), out);
}

void sum_along_column(const uint8_t* in, int64_t stride, const int32_t* weights, int64_t used,
                      int64_t bytes, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(SumAlongColumn)(in, stride, weights, used, bytes, out);
}

void blend_along_rows(const RowGroup& in, const WeightTable<float>& table, int64_t out_width,
                      const PixelMap& map, std::vector<uint8_t>& columns, float* out) {
  columns.resize(static_cast<size_t>(in.width * kColumnBytes));
  HWY_DYNAMIC_DISPATCH(BlendAlongRows)(in, table, out_width, map, columns.data(), out);
}

void blend_along_column(const float* const (&rows)[4], const float (&weights)[4], int64_t count,
                        float* out) {
  HWY_DYNAMIC_DISPATCH(BlendAlongColumn)(rows, weights, count, out);
}

void flush_stores() {
  hwy::FlushStream();
}

void sum_colours(const PixelShares& in, double (&sums)[3]) {
  HWY_DYNAMIC_DISPATCH(SumColours)(in, sums);
}

}  // namespace resnext
#endif
