// WebP through libwebp.
// SPDX-License-Identifier: BSD-3-Clause
#include <webp/decode.h>

#include "data/image/jpeg_decoder.h"
#include "data/image/more_formats.h"

namespace resnext {

ImageSize read_webp_size(std::span<const uint8_t> bytes) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) {
    throw DamagedImage("damaged WebP");
  }
  if (features.has_animation != 0) throw DamagedImage("animated WebP");
  check_image_size(features.height, features.width);
  return {features.height, features.width};
}

void decode_webp(std::span<const uint8_t> bytes, Image& out) {
  const ImageSize size = read_webp_size(bytes);
  out.resize(size.height, size.width);
  if (WebPDecodeRGBInto(bytes.data(), bytes.size(), out.pixels.data(), out.pixels.size(),
                        static_cast<int>(size.width * 3)) == nullptr) {
    throw DamagedImage("damaged WebP");
  }
}

}  // namespace resnext
