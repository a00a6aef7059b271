// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/stored_image.h"

#include "data/image/croppable_jpeg.h"
#include "data/image/image_decoder.h"
#include "data/image/png_encoder.h"

namespace resnext {

std::vector<uint8_t> stored_image(std::vector<uint8_t> encoded, bool croppable) {
  if (croppable) {
    std::vector<uint8_t> bytes = make_croppable(encoded);
    if (!bytes.empty()) return bytes;
  }
  Image image;
  decode_image(encoded, image);
  return is_stored_unchanged(encoded) ? encoded : encode_png(image.view());
}

}  // namespace resnext
