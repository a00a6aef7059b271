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

// Fixed point of int32 weights: 22 fractional bits.
inline constexpr int kWeightBits = 22;

// Weighted sums over neighbours for a row of outputs: output i takes `used[i]` neighbours from
// first[i] on with weights[i * taps], weights[i * taps + 1], ...
template <typename W>
struct WeightTable {
  const W* weights = nullptr;
  const int64_t* first = nullptr;
  const int64_t* used = nullptr;
  int64_t taps = 0;
};

inline constexpr int64_t kRowsAtOnce = 4;
inline constexpr int64_t kColumnBytes = 4 * kRowsAtOnce;

// Up to kRowsAtOnce rows of `width` RGB pixels, `stride` bytes apart.
struct RowGroup {
  const uint8_t* pixels = nullptr;
  int64_t stride = 0;
  int64_t rows = 0;
  int64_t width = 0;
};

// A colour becomes matrix * colour + shift (row-major, RGB).
struct PixelMap {
  float matrix[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  float shift[3] = {0, 0, 0};
};

// Makes rows of out_width RGB pixels, without gaps, from pixels of the same row. `columns` is
// memory to work in. From int32 weights bytes, rounded and limited to 0..255; from float32 values
// as they are, each pixel then mapped.
void sum_along_rows(const RowGroup& in, const WeightTable<int32_t>& table, int64_t out_width,
                    std::vector<uint8_t>& columns, uint8_t* out);
void blend_along_rows(const RowGroup& in, const WeightTable<float>& table, int64_t out_width,
                      const PixelMap& map, std::vector<uint8_t>& columns, float* out);

// out[x] = weights[0] * in[x] + weights[1] * in[x + stride] + ... for x = 0..bytes-1.
void sum_along_column(const uint8_t* in, int64_t stride, const int32_t* weights, int64_t used,
                      int64_t bytes, uint8_t* out);
// out[x] = weights[0] * rows[0][x] + weights[1] * rows[1][x] + ... for x = 0..count-1. Written past
// the caches where it is aligned: other threads may read it after flush_stores().
void blend_along_column(const float* const (&rows)[4], const float (&weights)[4], int64_t count,
                        float* out);
void flush_stores();

// An image and what share its rows and columns have in something.
struct PixelShares {
  const uint8_t* pixels = nullptr;
  int64_t stride = 0;
  int64_t height = 0;
  int64_t width = 0;
  const float* rows = nullptr;     // [height]
  const float* columns = nullptr;  // [3 * width], and kPadding zeros behind it
  static constexpr int64_t kPadding = 3 * kColumnBytes;
};

// The shares of each colour, added up in float32.
void sum_colours(const PixelShares& in, double (&sums)[3]);

}  // namespace resnext
