// PNG through libpng's simplified interface, which returns its errors.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/png_encoder.h"

#include <png.h>

#include <stdexcept>
#include <string>

namespace resnext {

std::vector<uint8_t> encode_png(const ImageView& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_RGB;
  png.flags = PNG_IMAGE_FLAG_FAST;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::vector<uint8_t> out(bytes);
  if (png_image_write_to_memory(&png, out.data(), &bytes, /*convert_to_8_bit=*/0, image.pixels,
                                static_cast<png_int_32>(image.stride), nullptr) == 0) {
    throw std::runtime_error(std::string("cannot encode PNG: ") + png.message);
  }
  out.resize(bytes);
  return out;
}

}  // namespace resnext
