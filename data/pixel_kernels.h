// The inner loops of resizing and colour changes, for the best vector unit of this machine.
//
// Highway compiles each for several instruction sets and picks one at run time; all give the same
// bytes, except that colours may be rounded differently where multiply and add are fused.
// Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace resnext {

// Fixed point of the weights: 22 fractional bits.
inline constexpr int kWeightBits = 22;

// Weighted sums over neighbours for a row of outputs: output i takes `used[i]` neighbours from
// first[i] on with weights[i * taps], weights[i * taps + 1], ...
struct WeightTable {
  const int32_t* weights = nullptr;
  const int64_t* first = nullptr;
  const int64_t* used = nullptr;
  int64_t taps = 0;
};

inline constexpr int64_t kRowsAtOnce = 4;
inline constexpr int64_t kColumnBytes = 4 * kRowsAtOnce;

// Of up to kRowsAtOnce rows, `width` RGB pixels each and `stride` bytes apart, makes rows of
// out_width pixels without gaps. `columns` is memory to work in.
void sum_along_rows(const uint8_t* in, int64_t stride, int64_t rows, int64_t width,
                    const WeightTable& table, int64_t out_width, std::vector<uint8_t>& columns,
                    uint8_t* out);

// out[x] = weights[0] * in[x] + weights[1] * in[x + stride] + ... for x = 0..bytes-1.
void sum_along_column(const uint8_t* in, int64_t stride, const int32_t* weights, int64_t used,
                      int64_t bytes, uint8_t* out);

// As WeightTable in float32: output i takes `taps` neighbours, at most 4, from first[i] on with
// weights[4 i], weights[4 i + 1], ...
struct FloatWeightTable {
  const float* weights = nullptr;
  const int64_t* first = nullptr;
  int64_t taps = 0;
};

// Each of out_width RGB pixels from pixels of the row `in`, which is `width` pixels long; neither
// rounded nor limited.
void blend_along_row(const uint8_t* in, int64_t width, const FloatWeightTable& table,
                     int64_t out_width, float* out);

// In place on `count` pixels: matrix * colour + shift (row-major, RGB); of bytes rounded and
// limited to 0..255.
void map_colours(const float (&matrix)[9], const float (&shift)[3], uint8_t* pixels, int64_t count);
void map_colours(const float (&matrix)[9], const float (&shift)[3], float* pixels, int64_t count);

}  // namespace resnext
