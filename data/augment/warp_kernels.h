// The inner loops of reading between pixels, for the best vector unit of this machine.
//
// As pixel_kernels.h; all instruction sets give the same bytes. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace resnext {

// Positions of a row's pixels, in fixed point: the first, and how far each is from the one before.
struct PositionLine {
  int64_t start = 0;
  int64_t step = 0;
};

// Fractional bits of positions: of the nearest pixel, as Pillow has it (affine_fixed in its
// src/libImaging/Geometry.c), and between pixels.
inline constexpr int kNearestBits = 16;
inline constexpr int kBetweenBits = 40;

// Where in rows of `width` pixels, in bytes from the first, the pixels of a row are read: those at
// (x, y), which all lie inside a square of kLargestSide (warp.h) at most.
void nearest_pixels(const PositionLine& x, const PositionLine& y, int64_t width, int64_t count,
                    int32_t* bytes);

// How many pixels of a row and of a column one is made of: 1 (it lies in the middle of them), 2
// (bilinear) or 4 (bicubic; Keys 1981 with a = -1).
struct Taps {
  int along_row = 1;
  int along_column = 1;
};

// Writes `count` RGB pixels that are made of those around each (x, y), in float32, limited to
// 0..255, then without their fraction. Of x and y the whole part says where the first pixel of each
// is, counted from `in`, whose rows are `stride` bytes apart; the fraction is the way from the one
// to the other of the two in the middle. From each first pixel of a row on 16 bytes must be
// readable.
void blend_pixels(const uint8_t* in, int64_t stride, const PositionLine& x, const PositionLine& y,
                  const Taps& taps, int64_t count, uint8_t* out);

}  // namespace resnext
