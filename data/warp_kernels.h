// The inner loops of reading between pixels, for the best vector unit of this machine.
//
// As pixel_kernels.h; all instruction sets give the same bytes. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace resnext {

// Positions in fixed point: int64 with 40 fractional bits.
inline constexpr int kPositionBits = 40;

// Position of the first pixel of a row, and how far each is from the one before.
struct PositionLine {
  int64_t start = 0;
  int64_t step = 0;
};

// How many pixels of a row and of a column one is made of: 1 (it lies in the middle of them), 2
// (bilinear) or 4 (bicubic; Keys 1981 with a = -1).
struct Taps {
  int along_row = 1;
  int along_column = 1;
};

// Writes `count` RGB pixels that are made of those around each (x, y), in float32 with rows first,
// limited to 0..255, then without their fraction. Of x and y the whole part says where the first
// pixel of each is, counted from `in`, whose rows are `stride` bytes apart; the fraction is the way
// from the one to the other of the two in the middle. Where the last pixel that is read ends, one
// more byte must be readable. With (1, 1) taps pixels are copied.
void blend_pixels(const uint8_t* in, int64_t stride, const PositionLine& x, const PositionLine& y,
                  const Taps& taps, int64_t count, uint8_t* out);

}  // namespace resnext
