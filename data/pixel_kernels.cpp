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
void Interleave(const uint8_t* in, int64_t stride, int64_t rows, int64_t width,
                uint8_t* HWY_RESTRICT columns) {
  for (int64_t r = 0; r < kRowsAtOnce; ++r) {
    const uint8_t* pixel = in + std::min(r, rows - 1) * stride;
    uint8_t* to = columns + r * 4;
    for (int64_t x = 1; x < width; ++x, pixel += 3, to += kColumnBytes) std::memcpy(to, pixel, 4);
    std::memcpy(to, pixel, 3);  // the last one has no byte behind it
  }
}

void SumAlongRows(const uint8_t* in, int64_t stride, int64_t rows, int64_t width,
                  const WeightTable& table, int64_t out_width, uint8_t* HWY_RESTRICT columns,
                  uint8_t* HWY_RESTRICT out) {
  Interleave(in, stride, rows, width, columns);
  const HWY_CAPPED(int32_t, kColumnBytes) lanes;
  const hn::Rebind<uint8_t, decltype(lanes)> bytes;
  const auto step = static_cast<int64_t>(hn::Lanes(lanes));
  HWY_ALIGN uint8_t result[kColumnBytes];
  for (int64_t i = 0; i < out_width; ++i, out += 3) {
    const int32_t* weight = table.weights + i * table.taps;
    const int64_t used = table.used[i];
    for (int64_t k = 0; k < kColumnBytes; k += step) {
      const uint8_t* column = columns + table.first[i] * kColumnBytes + k;
      auto sum = hn::Set(lanes, kHalfUnit);
      for (int64_t t = 0; t < used; ++t, column += kColumnBytes) {
        const auto value = hn::PromoteTo(lanes, hn::LoadU(bytes, column));
        sum = hn::Add(sum, hn::Mul(value, hn::Set(lanes, weight[t])));
      }
      hn::StoreU(hn::DemoteTo(bytes, hn::ShiftRight<kWeightBits>(sum)), bytes, result + k);
    }
    // A fourth byte is written again with the next pixel.
    const bool last = i + 1 == out_width;
    for (int64_t r = 0; r < rows; ++r) {
      uint8_t* to = out + r * out_width * 3;
      last ? std::memcpy(to, result + r * 4, 3) : std::memcpy(to, result + r * 4, 4);
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

#if HWY_TARGET == HWY_SCALAR
void BlendAlongRow(const uint8_t* HWY_RESTRICT in, int64_t, const FloatWeightTable& table,
                   int64_t out_width, float* HWY_RESTRICT out) {
  for (int64_t i = 0; i < out_width * 3; ++i) {
    const uint8_t* value = in + table.first[i / 3] * 3 + i % 3;
    out[i] = 0;
    for (int64_t t = 0; t < table.taps; ++t) out[i] += table.weights[i / 3 * 4 + t] * value[t * 3];
  }
}
#else
// One pixel in four lanes, as above.
void BlendAlongRow(const uint8_t* HWY_RESTRICT in, int64_t width, const FloatWeightTable& table,
                   int64_t out_width, float* HWY_RESTRICT out) {
  const hn::FixedTag<float, 4> lanes;
  const hn::Rebind<int32_t, decltype(lanes)> ints;
  const hn::Rebind<uint8_t, decltype(lanes)> bytes;
  const auto load = [&](const uint8_t* pixel) {
    return hn::ConvertTo(lanes, hn::PromoteTo(ints, hn::LoadU(bytes, pixel)));
  };
  for (int64_t i = 0; i < out_width; ++i, out += 3) {
    const float* weight = table.weights + i * 4;
    const uint8_t* pixel = in + table.first[i] * 3;
    const bool at_end = table.first[i] + table.taps == width;
    const int64_t whole = table.taps - (at_end ? 1 : 0);
    auto sum = hn::Zero(lanes);
    for (int64_t t = 0; t < whole; ++t, pixel += 3) {
      sum = hn::MulAdd(load(pixel), hn::Set(lanes, weight[t]), sum);
    }
    if (at_end) {
      uint8_t last[4] = {};
      std::memcpy(last, pixel, 3);
      sum = hn::MulAdd(load(last), hn::Set(lanes, weight[whole]), sum);
    }
    float result[4];
    hn::StoreU(sum, lanes, result);
    std::memcpy(out, result, 3 * sizeof(float));
  }
}

#endif

// `store` writes four lanes, of which the last is not used, to a pixel of T.
template <typename T, typename Store>
void MapPixels(const float (&m)[9], const float (&shift)[3], T* HWY_RESTRICT pixels, int64_t count,
               const Store& store) {
  const HWY_CAPPED(float, 4) lanes;
  const auto step = static_cast<int64_t>(hn::Lanes(lanes));
  HWY_ALIGN float columns[4][4] = {};  // of the matrix, one for each colour; then the shift
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 3; ++i) columns[i][c] = m[c * 3 + i];
    columns[3][c] = shift[c];
  }
  for (int64_t i = 0; i < count; ++i, pixels += 3) {
    T result[4];
    for (int64_t k = 0; k < 4; k += step) {
      const auto column = [&](int c) { return hn::Load(lanes, columns[c] + k); };
      auto sum = hn::MulAdd(column(0), hn::Set(lanes, static_cast<float>(pixels[0])), column(3));
      sum = hn::MulAdd(column(1), hn::Set(lanes, static_cast<float>(pixels[1])), sum);
      sum = hn::MulAdd(column(2), hn::Set(lanes, static_cast<float>(pixels[2])), sum);
      store(sum, result + k);
    }
    std::memcpy(pixels, result, 3 * sizeof(T));
  }
}

void MapColours(const float (&matrix)[9], const float (&shift)[3], uint8_t* pixels, int64_t count) {
  MapPixels(matrix, shift, pixels, count, [](auto sum, uint8_t* to) {
    const hn::Rebind<uint8_t, hn::DFromV<decltype(sum)>> bytes;
    hn::StoreU(hn::DemoteTo(bytes, hn::NearestInt(sum)), bytes, to);
  });
}

void MapValues(const float (&matrix)[9], const float (&shift)[3], float* pixels, int64_t count) {
  MapPixels(matrix, shift, pixels, count,
            [](auto sum, float* to) { hn::StoreU(sum, hn::DFromV<decltype(sum)>(), to); });
}

}  // namespace HWY_NAMESPACE
}  // namespace resnext
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace resnext {

HWY_EXPORT(SumAlongRows);
HWY_EXPORT(SumAlongColumn);
HWY_EXPORT(BlendAlongRow);
HWY_EXPORT(MapColours);
HWY_EXPORT(MapValues);

void sum_along_rows(const uint8_t* in, int64_t stride, int64_t rows, int64_t width,
                    const WeightTable& table, int64_t out_width, std::vector<uint8_t>& columns,
                    uint8_t* out) {
  columns.resize(static_cast<size_t>(width * kColumnBytes));
  HWY_DYNAMIC_DISPATCH(SumAlongRows)
  (in, stride, rows, width, table, out_width, columns.data(), out);
}

void sum_along_column(const uint8_t* in, int64_t stride, const int32_t* weights, int64_t used,
                      int64_t bytes, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(SumAlongColumn)(in, stride, weights, used, bytes, out);
}

void blend_along_row(const uint8_t* in, int64_t width, const FloatWeightTable& table,
                     int64_t out_width, float* out) {
  HWY_DYNAMIC_DISPATCH(BlendAlongRow)(in, width, table, out_width, out);
}

void map_colours(const float (&matrix)[9], const float (&shift)[3], uint8_t* pixels,
                 int64_t count) {
  HWY_DYNAMIC_DISPATCH(MapColours)(matrix, shift, pixels, count);
}

void map_colours(const float (&matrix)[9], const float (&shift)[3], float* pixels, int64_t count) {
  HWY_DYNAMIC_DISPATCH(MapValues)(matrix, shift, pixels, count);
}

}  // namespace resnext
#endif
