// WebP, BMP and TIFF: formats that are read where their library was there when this was built.
//
// WebP through libwebp, TIFF through libtiff, BMP through stb_image; image_decoder.h says what is
// promised. Without the library all of a format's functions throw DamagedImage that names it.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "data/image/image_decoder.h"

namespace resnext {

ImageSize read_webp_size(std::span<const uint8_t> bytes);
void decode_webp(std::span<const uint8_t> bytes, Image& out);

ImageSize read_bmp_size(std::span<const uint8_t> bytes);
void decode_bmp(std::span<const uint8_t> bytes, Image& out);

// The first page. Transparent pixels are refused, as libtiff mixes them with black.
ImageSize read_tiff_size(std::span<const uint8_t> bytes);
void decode_tiff(std::span<const uint8_t> bytes, Image& out);

}  // namespace resnext
