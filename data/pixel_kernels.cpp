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

#if HWY_TARGET == HWY_SCALAR
// For machines without vectors of four.
void SumAlongRow(const uint8_t* HWY_RESTRICT in, int64_t, const WeightTable& table,
                 int64_t out_width, uint8_t* HWY_RESTRICT out) {
  for (int64_t i = 0; i < out_width * 3; ++i) {
    const uint8_t* value = in + table.first[i / 3] * 3 + i % 3;
    int32_t sum = kHalfUnit;
    for (int64_t t = 0; t < table.used[i / 3]; ++t) {
      sum += table.weights[i / 3 * table.taps + t] * value[t * 3];
    }
    out[i] = static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
  }
}
#else
// One pixel in four lanes, of which the last is not used. Loads and stores four bytes where a
// fourth exists, since the next pixel's first byte is only read, or written again.
void SumAlongRow(const uint8_t* HWY_RESTRICT in, int64_t width, const WeightTable& table,
                 int64_t out_width, uint8_t* HWY_RESTRICT out) {
  const hn::FixedTag<int32_t, 4> lanes;
  const hn::Rebind<uint8_t, decltype(lanes)> bytes;
  for (int64_t i = 0; i < out_width; ++i, out += 3) {
    const int32_t* weight = table.weights + i * table.taps;
    const uint8_t* pixel = in + table.first[i] * 3;
    const bool at_end = table.first[i] + table.used[i] == width;
    const int64_t whole = table.used[i] - (at_end ? 1 : 0);
    auto sum = hn::Set(lanes, kHalfUnit);
    for (int64_t t = 0; t < whole; ++t, pixel += 3) {
      const auto value = hn::PromoteTo(lanes, hn::LoadU(bytes, pixel));
      sum = hn::Add(sum, hn::Mul(value, hn::Set(lanes, weight[t])));
    }
    uint8_t last[4] = {};
    if (at_end) {
      std::memcpy(last, pixel, 3);
      const auto value = hn::PromoteTo(lanes, hn::LoadU(bytes, last));
      sum = hn::Add(sum, hn::Mul(value, hn::Set(lanes, weight[whole])));
    }
    const auto result = hn::DemoteTo(bytes, hn::ShiftRight<kWeightBits>(sum));
    if (i + 1 < out_width) {
      hn::StoreU(result, bytes, out);
    } else {
      hn::StoreU(result, bytes, last);
      std::memcpy(out, last, 3);
    }
  }
}

#endif

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
void MapColours(const float (&m)[9], const float (&shift)[3], uint8_t* HWY_RESTRICT pixels,
                int64_t count) {
  for (int64_t i = 0; i < count; ++i, pixels += 3) {
    const float r = pixels[0], g = pixels[1], b = pixels[2];
    for (int c = 0; c < 3; ++c) {
      const float value = m[c * 3] * r + m[c * 3 + 1] * g + m[c * 3 + 2] * b + shift[c];
      pixels[c] = static_cast<uint8_t>(std::nearbyint(std::clamp(value, 0.0F, 255.0F)));
    }
  }
}
#else
// One pixel in four lanes, as above; a column of the matrix for each of its colours.
void MapColours(const float (&m)[9], const float (&shift)[3], uint8_t* HWY_RESTRICT pixels,
                int64_t count) {
  const hn::FixedTag<float, 4> lanes;
  const hn::Rebind<int32_t, decltype(lanes)> ints;
  const hn::Rebind<uint8_t, decltype(lanes)> bytes;
  HWY_ALIGN float columns[4][4] = {};
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 3; ++i) columns[i][c] = m[c * 3 + i];
    columns[3][c] = shift[c];
  }
  const auto red = hn::Load(lanes, columns[0]);
  const auto green = hn::Load(lanes, columns[1]);
  const auto blue = hn::Load(lanes, columns[2]);
  const auto constant = hn::Load(lanes, columns[3]);
  for (int64_t i = 0; i < count; ++i, pixels += 3) {
    auto sum = hn::MulAdd(red, hn::Set(lanes, pixels[0]), constant);
    sum = hn::MulAdd(green, hn::Set(lanes, pixels[1]), sum);
    sum = hn::MulAdd(blue, hn::Set(lanes, pixels[2]), sum);
    uint8_t result[4];
    hn::StoreU(hn::DemoteTo(bytes, hn::NearestInt(sum)), bytes, result);
    std::memcpy(pixels, result, 3);
  }
}
#endif

#if HWY_TARGET == HWY_SCALAR
void BlendAlongRow(const uint8_t* HWY_RESTRICT in, int64_t, const FloatWeightTable& table,
                   int64_t out_width, float* HWY_RESTRICT out) {
  for (int64_t i = 0; i < out_width * 3; ++i) {
    const uint8_t* value = in + table.first[i / 3] * 3 + i % 3;
    out[i] = 0;
    for (int64_t t = 0; t < table.taps; ++t) out[i] += table.weights[i / 3 * 4 + t] * value[t * 3];
  }
}

void MapValues(const float (&m)[9], const float (&shift)[3], float* HWY_RESTRICT pixels,
               int64_t count) {
  for (int64_t i = 0; i < count; ++i, pixels += 3) {
    const float r = pixels[0], g = pixels[1], b = pixels[2];
    for (int c = 0; c < 3; ++c) {
      pixels[c] = m[c * 3] * r + m[c * 3 + 1] * g + m[c * 3 + 2] * b + shift[c];
    }
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

// The same; a column of the matrix for each of its colours.
void MapValues(const float (&m)[9], const float (&shift)[3], float* HWY_RESTRICT pixels,
               int64_t count) {
  const hn::FixedTag<float, 4> lanes;
  HWY_ALIGN float columns[4][4] = {};
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 3; ++i) columns[i][c] = m[c * 3 + i];
    columns[3][c] = shift[c];
  }
  const auto red = hn::Load(lanes, columns[0]);
  const auto green = hn::Load(lanes, columns[1]);
  const auto blue = hn::Load(lanes, columns[2]);
  const auto constant = hn::Load(lanes, columns[3]);
  for (int64_t i = 0; i < count; ++i, pixels += 3) {
    auto sum = hn::MulAdd(red, hn::Set(lanes, pixels[0]), constant);
    sum = hn::MulAdd(green, hn::Set(lanes, pixels[1]), sum);
    sum = hn::MulAdd(blue, hn::Set(lanes, pixels[2]), sum);
    float result[4];
    hn::StoreU(sum, lanes, result);
    std::memcpy(pixels, result, 3 * sizeof(float));
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace resnext
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace resnext {

HWY_EXPORT(SumAlongRow);
HWY_EXPORT(SumAlongColumn);
HWY_EXPORT(BlendAlongRow);
HWY_EXPORT(MapColours);
HWY_EXPORT(MapValues);

void sum_along_row(const uint8_t* in, int64_t width, const WeightTable& table, int64_t out_width,
                   uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(SumAlongRow)(in, width, table, out_width, out);
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
