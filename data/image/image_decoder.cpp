// Tells the formats apart.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/image_decoder.h"

#include <algorithm>
#include <array>
#include <string>

#include "data/image/jpeg_decoder.h"
#include "data/image/more_formats.h"
#include "data/image/png_decoder.h"

namespace resnext {
namespace {

bool begins_with(std::span<const uint8_t> bytes, std::span<const uint8_t> signature) {
  return bytes.size() >= signature.size() &&
         std::equal(signature.begin(), signature.end(), bytes.begin());
}

// WebP is a RIFF container: its kind stands behind the length.
bool is_webp(std::span<const uint8_t> bytes) {
  constexpr std::array<uint8_t, 4> kRiff = {'R', 'I', 'F', 'F'}, kWebp = {'W', 'E', 'B', 'P'};
  return begins_with(bytes, kRiff) && bytes.size() > 8 && begins_with(bytes.subspan(8), kWebp);
}

bool is_tiff(std::span<const uint8_t> bytes) {
  constexpr std::array<uint8_t, 4> kLittle = {'I', 'I', 42, 0}, kBig = {'M', 'M', 0, 42};
  return begins_with(bytes, kLittle) || begins_with(bytes, kBig);
}

enum class Format { kJpeg, kPng, kWebp, kBmp, kTiff };

Format format_of(std::span<const uint8_t> bytes) {
  constexpr std::array<uint8_t, 3> kJpeg = {0xff, 0xd8, 0xff};
  constexpr std::array<uint8_t, 8> kPng = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  constexpr std::array<uint8_t, 2> kBmp = {'B', 'M'};
  if (begins_with(bytes, kJpeg)) return Format::kJpeg;
  if (begins_with(bytes, kPng)) return Format::kPng;
  if (is_webp(bytes)) return Format::kWebp;
  if (begins_with(bytes, kBmp)) return Format::kBmp;
  if (is_tiff(bytes)) return Format::kTiff;
  throw DamagedImage("is no JPEG, PNG, WebP, BMP or TIFF");
}

// All of it, from a format that cannot be decoded in parts.
void decode_whole(Format format, std::span<const uint8_t> bytes, Image& out) {
  switch (format) {
    case Format::kWebp:
      return decode_webp(bytes, out);
    case Format::kBmp:
      return decode_bmp(bytes, out);
    case Format::kTiff:
      return decode_tiff(bytes, out);
    default:
      return decode_png(bytes, out);
  }
}

}  // namespace

void check_image_size(int64_t height, int64_t width) {
  const std::string size = std::to_string(width) + "x" + std::to_string(height);
  if (height <= 0 || width <= 0) throw DamagedImage("impossible size " + size);
  if (height <= kMaxPixels / width) return;
  throw DamagedImage(size + " pixels are more than the limit of " + std::to_string(kMaxPixels));
}

bool is_stored_unchanged(std::span<const uint8_t> bytes) {
  const Format format = format_of(bytes);
  return format == Format::kJpeg || format == Format::kPng;
}

ImageSize read_image_size(std::span<const uint8_t> bytes) {
  switch (format_of(bytes)) {
    case Format::kJpeg:
      return read_jpeg_size(bytes);
    case Format::kWebp:
      return read_webp_size(bytes);
    case Format::kBmp:
      return read_bmp_size(bytes);
    case Format::kTiff:
      return read_tiff_size(bytes);
    default:
      return read_png_size(bytes);
  }
}

Box decode_region(std::span<const uint8_t> bytes, const Region& region, Image& out) {
  const Format format = format_of(bytes);
  if (format == Format::kJpeg) return decode_jpeg(bytes, region, out);
  decode_whole(format, bytes, out);
  return {static_cast<double>(region.top), static_cast<double>(region.left),
          static_cast<double>(region.height), static_cast<double>(region.width)};
}

void decode_image(std::span<const uint8_t> bytes, Image& out) {
  const ImageSize size = read_image_size(bytes);
  decode_region(bytes, {0, 0, size.height, size.width, 0, 0}, out);
}

}  // namespace resnext
