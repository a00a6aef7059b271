// Encodes RGB pixels as baseline JPEG with libjpeg-turbo's default chroma (4:2:0).
//
// Thread-safe. Throws std::runtime_error when libjpeg refuses the size.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/image/image.h"

namespace resnext {

// `quality` is libjpeg's, 1..100.
std::vector<uint8_t> encode_jpeg(const ImageView& image, int quality);

}  // namespace resnext
