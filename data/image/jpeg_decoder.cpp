// Decodes JPEG, or only the rows and columns that are needed of it.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/jpeg_decoder.h"

#include <algorithm>
#include <vector>

#include "data/image/huffman_decoder.h"
#include "data/image/jpeg_library.h"

namespace resnext {
namespace {

// Beyond the region on each side, so that smoothed chroma at its edges is that of the whole image.
constexpr int64_t kMargin = 4;

// The largest reduction that keeps the region at least twice as large as it is wanted.
int64_t choose_reduction(const Region& region) {
  if (region.wanted_height == 0 && region.wanted_width == 0) return 1;
  int64_t reduction = 8;
  while (reduction > 1 && (region.height < 2 * reduction * region.wanted_height ||
                           region.width < 2 * reduction * region.wanted_width)) {
    reduction /= 2;
  }
  return reduction;
}

// Rows or columns to decode at the reduced size for [begin, begin + length) at full size.
PixelRange reduced_range(int64_t begin, int64_t length, int64_t reduction, int64_t limit) {
  const int64_t end = (begin + length + reduction - 1) / reduction;
  return {std::max<int64_t>(0, begin / reduction - kMargin), std::min(limit, end + kMargin)};
}

// Adobe stores CMYK inverted: 255 is no ink.
void cmyk_to_rgb(const uint8_t* cmyk, int64_t count, uint8_t* rgb) {
  for (int64_t i = 0; i < count; ++i, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<uint8_t>((cmyk[c] * cmyk[3] + 127) / 255);
    }
  }
}

void read_rows(Decompressor& jpeg, const PixelRange& rows, Image& out) {
  jpeg_decompress_struct& info = jpeg.info();
  const bool cmyk = info.out_color_space == JCS_CMYK;
  std::vector<uint8_t> line(cmyk ? static_cast<size_t>(out.width) * 4 : 0);
  uint8_t* const ink = line.data();
  jpeg.guarded([&] {
    if (rows.begin > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(rows.begin));
    for (int64_t y = 0; y < out.height; ++y) {
      uint8_t* row = cmyk ? ink : out.row(y);
      jpeg_read_scanlines(&info, &row, 1);
      if (cmyk) cmyk_to_rgb(ink, out.width, out.row(y));
    }
    // Only a file that was read to its last row can be checked to its end.
    if (info.output_scanline == info.output_height) {
      jpeg_finish_decompress(&info);
    } else {
      jpeg_abort_decompress(&info);
    }
  });
}

}  // namespace

ImageSize read_jpeg_size(std::span<const uint8_t> bytes) {
  Decompressor jpeg(bytes);
  return {jpeg.info().image_height, jpeg.info().image_width};
}

Box decode_jpeg(std::span<const uint8_t> bytes, const Region& region, Image& out) {
  const int64_t reduction = choose_reduction(region);
  HuffmanDecoder huffman(bytes.size());
  Decompressor jpeg(bytes);
  jpeg_decompress_struct& info = jpeg.info();
  const bool ink = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = ink ? JCS_CMYK : JCS_RGB;
  info.scale_num = 1;
  info.scale_denom = static_cast<unsigned>(reduction);
  jpeg.guarded([&] { jpeg_start_decompress(&info); });
  huffman.install(info);
  const PixelRange rows = reduced_range(region.top, region.height, reduction, info.output_height);
  const PixelRange columns = reduced_range(region.left, region.width, reduction, info.output_width);
  auto first_column = static_cast<JDIMENSION>(columns.begin);
  auto width = static_cast<JDIMENSION>(columns.end - columns.begin);
  if (width < info.output_width) {
    jpeg.guarded([&] { jpeg_crop_scanline(&info, &first_column, &width); });
  }
  out.resize(rows.end - rows.begin, info.output_width);
  read_rows(jpeg, rows, out);
  const double scale = 1.0 / static_cast<double>(reduction);
  return {static_cast<double>(region.top) * scale - static_cast<double>(rows.begin),
          static_cast<double>(region.left) * scale - static_cast<double>(first_column),
          static_cast<double>(region.height) * scale, static_cast<double>(region.width) * scale};
}

}  // namespace resnext
