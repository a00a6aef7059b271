// What a container holds of an encoded image.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace resnext {

// `croppable`: JPEG that has such a form (croppable_jpeg.h) in it. Other JPEG and PNG are stored as
// they are, other formats as PNG; the pixels are the same always. The image is read to its end:
// throws DamagedImage. Thread-safe.
std::vector<uint8_t> stored_image(std::vector<uint8_t> encoded, bool croppable);

}  // namespace resnext
