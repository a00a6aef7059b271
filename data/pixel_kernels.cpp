// The vector loops. This file is compiled once for each instruction set (foreach_target.h).
// SPDX-License-Identifier: BSD-3-Clause
#include "data/pixel_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/pixel_kernels.cpp"
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
  for (int64_t r = 0; r < kRowsAtOnce; ++r) {
    const uint8_t* pixel = in.pixels + std::min(r, in.rows - 1) * in.stride;
    uint8_t* to = columns + r * 4;
    for (int64_t x = 1; x < in.width; ++x, pixel += 3, to += kColumnBytes)
      std::memcpy(to, pixel, 4);
    std::memcpy(to, pixel, 3);  // the last one has no byte behind it
  }
}

// Rows of T from weights W: accumulate(value, weight, sum) takes int32 lanes, store(sum, to) makes
// values of W lanes.
template <typename W, typename T, typename Accumulate, typename Store>
void WeighRows(const RowGroup& in, const WeightTable<W>& table, int64_t out_width,
               uint8_t* HWY_RESTRICT columns, T* HWY_RESTRICT out, W initial,
               const Accumulate& accumulate, const Store& store) {
  Interleave(in, columns);
  const HWY_CAPPED(W, kColumnBytes) lanes;
  const hn::Rebind<int32_t, decltype(lanes)> ints;
  const hn::Rebind<uint8_t, decltype(lanes)> bytes;
  const auto step = static_cast<int64_t>(hn::Lanes(lanes));
  HWY_ALIGN T result[kColumnBytes];
  for (int64_t i = 0; i < out_width; ++i, out += 3) {
    const W* weight = table.weights + i * table.taps;
    const int64_t used = table.used[i];
    for (int64_t k = 0; k < kColumnBytes; k += step) {
      const uint8_t* column = columns + table.first[i] * kColumnBytes + k;
      auto sum = hn::Set(lanes, initial);
      for (int64_t t = 0; t < used; ++t, column += kColumnBytes) {
        const auto value = hn::PromoteTo(ints, hn::LoadU(bytes, column));
        sum = accumulate(value, hn::Set(lanes, weight[t]), sum);
      }
      store(sum, result + k);
    }
    // The fourth value is written again with the next pixel.
    const bool last = i + 1 == out_width;
    for (int64_t r = 0; r < in.rows; ++r) {
      T* to = out + r * out_width * 3;
      const T* from = result + r * 4;
      last ? std::memcpy(to, from, 3 * sizeof(T)) : std::memcpy(to, from, 4 * sizeof(T));
    }
  }
}

void SumAlongRows(const RowGroup& in, const WeightTable<int32_t>& table, int64_t out_width,
                  uint8_t* columns, uint8_t* out) {
  WeighRows(
      in, table, out_width, columns, out, kHalfUnit,
      [](auto value, auto weight, auto sum) { return hn::Add(sum, hn::Mul(value, weight)); },
      [](auto sum, uint8_t* to) {
        const hn::Rebind<uint8_t, hn::DFromV<decltype(sum)>> bytes;
        hn::StoreU(hn::DemoteTo(bytes, hn::ShiftRight<kWeightBits>(sum)), bytes, to);
      });
}

void BlendAlongRows(const RowGroup& in, const WeightTable<float>& table, int64_t out_width,
                    uint8_t* columns, float* out) {
  WeighRows(
      in, table, out_width, columns, out, 0.0F,
      [](auto value, auto weight, auto sum) {
        return hn::MulAdd(hn::ConvertTo(hn::DFromV<decltype(sum)>(), value), weight, sum);
      },
      [](auto sum, float* to) { hn::StoreU(sum, hn::DFromV<decltype(sum)>(), to); });
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
    hn::StoreU(sum, d, out + x);
  };
  int64_t x = 0;
  for (; x + step <= count; x += step) blend(lanes, x);
  for (; x < count; ++x) blend(HWY_CAPPED(float, 1)(), x);
}

// Four lanes a pixel, of which the last is not used.
void MapColours(const float (&m)[9], const float (&shift)[3], float* HWY_RESTRICT pixels,
                int64_t count) {
  const HWY_CAPPED(float, 4) lanes;
  const auto step = static_cast<int64_t>(hn::Lanes(lanes));
  HWY_ALIGN float columns[4][4] = {};  // of the matrix, one for each colour; then the shift
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 3; ++i) columns[i][c] = m[c * 3 + i];
    columns[3][c] = shift[c];
  }
  for (int64_t i = 0; i < count; ++i, pixels += 3) {
    float result[4];
    for (int64_t k = 0; k < 4; k += step) {
      const auto column = [&](int c) { return hn::Load(lanes, columns[c] + k); };
      auto sum = hn::MulAdd(column(0), hn::Set(lanes, pixels[0]), column(3));
      sum = hn::MulAdd(column(1), hn::Set(lanes, pixels[1]), sum);
      sum = hn::MulAdd(column(2), hn::Set(lanes, pixels[2]), sum);
      hn::StoreU(sum, lanes, result + k);
    }
    std::memcpy(pixels, result, 3 * sizeof(float));
  }
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
HWY_EXPORT(MapColours);

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
                      std::vector<uint8_t>& columns, float* out) {
  columns.resize(static_cast<size_t>(in.width * kColumnBytes));
  HWY_DYNAMIC_DISPATCH(BlendAlongRows)(in, table, out_width, columns.data(), out);
}

void blend_along_column(const float* const (&rows)[4], const float (&weights)[4], int64_t count,
                        float* out) {
  HWY_DYNAMIC_DISPATCH(BlendAlongColumn)(rows, weights, count, out);
}

void map_colours(const float (&matrix)[9], const float (&shift)[3], float* pixels, int64_t count) {
  HWY_DYNAMIC_DISPATCH(MapColours)(matrix, shift, pixels, count);
}

}  // namespace resnext
#endif
