// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/picture_file.h"

#include <png.h>

#include "comm/common/error.h"

namespace resnext {

std::string to_png(const Picture& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string png(bytes, '\0');
  if (png_image_write_to_memory(&image, png.data(), &bytes, 0, picture.rgb.data(), 0, nullptr) ==
      0) {
    throw OutputError("picture", image.message, "set log.tensorboard to false");
  }
  png.resize(bytes);
  return png;
}

}  // namespace resnext
