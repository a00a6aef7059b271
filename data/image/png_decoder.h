// PNG through libpng; image_decoder.h says what is promised.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "data/image/image_decoder.h"

namespace resnext {

ImageSize read_png_size(std::span<const uint8_t> bytes);
void decode_png(std::span<const uint8_t> bytes, Image& out);

}  // namespace resnext
