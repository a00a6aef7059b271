// Operations on the pixels of one square or rectangular RGB image.
//
// In place on rows without gaps unless said otherwise. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "data/image/image.h"
#include "data/keyed_random.h"

namespace resnext {

using Colour = std::array<uint8_t, 3>;

// Writes `count` pixels of one colour.
void fill_pixels(uint8_t* out, int64_t count, const Colour& colour);

// Mirrors left and right.
void flip_horizontal(uint8_t* pixels, int64_t height, int64_t width);
void flip_horizontal(float* pixels, int64_t height, int64_t width);

// The source with `padding` pixels of `fill` on each side; of that, out_height x out_width pixels
// from (top, left), 0 <= top <= height + 2 * padding - out_height.
void pad_and_crop(const ImageView& source, int64_t padding, Colour fill, int64_t top, int64_t left,
                  int64_t out_height, int64_t out_width, uint8_t* out);

// Fills a random rectangle of 2..33 % of the area, aspect 0.3..3.3 (Zhong et al. 2017,
// arXiv 1708.04896, with the ranges of torchvision.transforms.RandomErasing); 10 tries.
void random_erasing(uint8_t* pixels, int64_t height, int64_t width, Colour fill,
                    KeyedRandom& random);

}  // namespace resnext
