// Tells JPEG from PNG.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image_decoder.h"

#include <algorithm>
#include <array>
#include <string>

#include "data/jpeg_decoder.h"
#include "data/png_decoder.h"

namespace resnext {
namespace {

bool begins_with(std::span<const uint8_t> bytes, std::span<const uint8_t> signature) {
  return bytes.size() >= signature.size() &&
         std::equal(signature.begin(), signature.end(), bytes.begin());
}

enum class Format { kJpeg, kPng };

Format format_of(std::span<const uint8_t> bytes) {
  constexpr std::array<uint8_t, 3> kJpegSignature = {0xff, 0xd8, 0xff};
  constexpr std::array<uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (begins_with(bytes, kJpegSignature)) return Format::kJpeg;
  if (begins_with(bytes, kPngSignature)) return Format::kPng;
  throw DamagedImage("neither JPEG nor PNG");
}

}  // namespace

void check_image_size(int64_t height, int64_t width) {
  if (height <= 0 || width <= 0 || height > kMaxPixels / width) {
    throw DamagedImage("impossible size " + std::to_string(width) + "x" + std::to_string(height));
  }
}

ImageSize read_image_size(std::span<const uint8_t> bytes) {
  return format_of(bytes) == Format::kJpeg ? read_jpeg_size(bytes) : read_png_size(bytes);
}

Box decode_region(std::span<const uint8_t> bytes, const Region& region, Image& out) {
  if (format_of(bytes) == Format::kJpeg) return decode_jpeg(bytes, region, out);
  decode_png(bytes, out);
  return {static_cast<double>(region.top), static_cast<double>(region.left),
          static_cast<double>(region.height), static_cast<double>(region.width)};
}

void decode_image(std::span<const uint8_t> bytes, Image& out) {
  const ImageSize size = read_image_size(bytes);
  decode_region(bytes, {0, 0, size.height, size.width, 0, 0}, out);
}

}  // namespace resnext
