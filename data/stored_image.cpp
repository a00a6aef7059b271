// SPDX-License-Identifier: BSD-3-Clause
#include "data/stored_image.h"

#include "data/croppable_jpeg.h"
#include "data/image_decoder.h"
#include "data/png_encoder.h"

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
