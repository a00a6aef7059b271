// A linear map of a square image's pixels, as Pillow's Image.transform(AFFINE) does it.
//
// On square RGB images without gaps between rows. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/augment/transforms.h"

namespace resnext {

enum class Sampling { kNearest, kBilinear, kBicubic };

// What is read between pixels, and where the source has none.
struct WarpStyle {
  Sampling sampling = Sampling::kNearest;
  Colour outside = {0, 0, 0};
};

// Source position of output position (x, y), in pixels from the image's corner; pixel centres lie
// at halves.
struct Affine {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
};

// Anticlockwise around the middle of an image of this size.
Affine rotation(double degrees, int64_t size);

// The largest side, as positions are int32.
inline constexpr int64_t kLargestSide = 16384;

// To another place. The nearest pixel is that of Pillow's positions, which have 16 fractional bits
// (affine_fixed in its src/libImaging/Geometry.c). Bilinear and bicubic (Keys 1981 with a = -1) are
// in float32 and read the border's pixels again beyond it; `scratch` is memory to work in, resized.
void warp(const Affine& map, const WarpStyle& style, const uint8_t* in, int64_t size, uint8_t* out,
          std::vector<uint8_t>& scratch);

}  // namespace resnext
