// BMP through stb_image, which takes what is missing at the end of a file for zeros: the length is
// checked before.
// SPDX-License-Identifier: BSD-3-Clause
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_BMP
#include <stb/stb_image.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "data/image/jpeg_decoder.h"
#include "data/image/more_formats.h"

namespace resnext {
namespace {

struct Free {
  void operator()(uint8_t* pixels) const { stbi_image_free(pixels); }
};

uint64_t number_at(std::span<const uint8_t> bytes, size_t at, size_t length) {
  if (bytes.size() < at + length) throw DamagedImage("damaged BMP: the data end early");
  uint64_t value = 0;
  for (size_t i = length; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

// Microsoft, "Bitmap storage": BITMAPFILEHEADER, then BITMAPCOREHEADER (12 bytes, 16-bit sizes) or
// BITMAPINFOHEADER and its successors. Rows are padded to four bytes.
void check_length(std::span<const uint8_t> bytes, const ImageSize& size) {
  constexpr uint64_t kCoreHeader = 12;
  const uint64_t start = number_at(bytes, 10, 4);
  const uint64_t bits = number_at(bytes, number_at(bytes, 14, 4) == kCoreHeader ? 24 : 28, 2);
  const uint64_t row = (static_cast<uint64_t>(size.width) * bits + 31) / 32 * 4;
  if (start > bytes.size() || row * static_cast<uint64_t>(size.height) > bytes.size() - start) {
    throw DamagedImage("damaged BMP: the data end early");
  }
}

}  // namespace

ImageSize read_bmp_size(std::span<const uint8_t> bytes) {
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height,
                            &channels) == 0) {
    throw DamagedImage(std::string("damaged BMP: ") + stbi_failure_reason());
  }
  height = std::abs(height);
  check_image_size(height, width);
  return {height, width};
}

void decode_bmp(std::span<const uint8_t> bytes, Image& out) {
  const ImageSize size = read_bmp_size(bytes);
  check_length(bytes, size);
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<uint8_t, Free> pixels(stbi_load_from_memory(
      bytes.data(), static_cast<int>(bytes.size()), &width, &height, &channels, 3));
  if (pixels == nullptr || width != size.width || height != size.height) {
    throw DamagedImage(std::string("damaged BMP: ") + stbi_failure_reason());
  }
  out.resize(height, width);
  std::memcpy(out.pixels.data(), pixels.get(), out.pixels.size());
}

}  // namespace resnext
