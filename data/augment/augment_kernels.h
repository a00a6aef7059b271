// The inner loops of augmentation on RGB bytes, for the best vector unit of this machine.
//
// As pixel_kernels.h; all instruction sets give the same bytes. Rows have no gaps. `in` and `out`
// are one place or do not overlap. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "data/augment/transforms.h"

namespace resnext {

using ByteTable = std::array<uint8_t, 256>;

// out[i] = table[in[i]]; of `count` pixels, with a table for each channel.
void look_up(const ByteTable& table, const uint8_t* in, int64_t bytes, uint8_t* out);
void look_up(const std::array<ByteTable, 3>& tables, const uint8_t* in, int64_t count,
             uint8_t* out);

// The least and the greatest value of each channel; of no pixels 255 and 0.
struct ColourRange {
  Colour low = {255, 255, 255};
  Colour high = {0, 0, 0};
};
ColourRange colour_range(const uint8_t* in, int64_t count);

// Pillow's grey (L24 in its src/libImaging/Convert.c): 19595 R + 38470 G + 7471 B in units of
// 2^-16, rounded. Its sum over `count` pixels.
int64_t sum_of_greys(const uint8_t* in, int64_t count);

// Pillow's blend (src/libImaging/Blend.c) of bytes: from + factor * (to - from) in float32, limited
// to 0..255, then without its fraction. The pixel's grey with the pixel:
void blend_from_grey(float factor, const uint8_t* in, int64_t count, uint8_t* out);
// The image smoothed by [1 1 1; 1 5 1; 1 1 1] / 13, rounded, with the image of size x size pixels,
// whose border stays. `out` is another place than `in`.
void blend_from_smooth(float factor, const uint8_t* in, int64_t size, uint8_t* out);

}  // namespace resnext
