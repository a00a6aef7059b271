// JPEG through libjpeg-turbo; image_decoder.h says what is promised.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "data/image/image_decoder.h"

namespace resnext {

ImageSize read_jpeg_size(std::span<const uint8_t> bytes);
Box decode_jpeg(std::span<const uint8_t> bytes, const Region& region, Image& out);

// Throws DamagedImage unless both are positive and the image has at most kMaxPixels.
void check_image_size(int64_t height, int64_t width);

}  // namespace resnext
