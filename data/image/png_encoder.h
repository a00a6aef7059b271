// Encodes RGB pixels as PNG, fast rather than small.
//
// Thread-safe. Throws std::runtime_error when libpng refuses the size.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/image/image.h"

namespace resnext {

std::vector<uint8_t> encode_png(const ImageView& image);

}  // namespace resnext
