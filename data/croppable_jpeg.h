// JPEG of which a part can be decoded without the Huffman codes around it.
//
// The codes of an image are one stream, in which each begins where the one before it ends: three
// quarters of the time of decoding a crop go into them, those above and beside the crop included.
// Restart markers (ITU-T T.81, E.1.4) part the stream into intervals that stand for themselves.
// Where a row of the image is a whole number of intervals, those that hold a part of the image are
// a JPEG of that part, once the markers are numbered anew and the header says the smaller size.
// Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace resnext {

// The same image as one baseline scan with optimised Huffman codes and restart markers about every
// 64 pixels. What was written is read again: its coefficients, quantisation tables and sampling are
// the same, and so its pixels in any decoder. Exif, ICC profiles and other metadata are left out.
// Empty where the bytes are no JPEG, or the image cannot be written so (CMYK, a progressive one
// that ends early), cannot be decoded for another cause than damage, or would be twice as large.
// All codes of the image are read: throws DamagedImage.
std::vector<uint8_t> make_croppable(std::span<const uint8_t> jpeg);

// Rows or columns [begin, end) of an image. The end may lie beyond the image.
struct PixelRange {
  int64_t begin = 0;
  int64_t end = 0;
};

// A JPEG of a part of an image, whose first pixel is (top, left) there.
struct JpegPart {
  int64_t top = 0;
  int64_t left = 0;
  std::vector<uint8_t> bytes;
};

// The smallest part that holds these pixels. Its pixels are the image's, but for two beside an edge
// that is none of the image: a decoder that smooths colours looks over it. Nothing where the image
// has no such intervals, or all are needed. Where it is damaged the part is, too, or there is none.
std::optional<JpegPart> crop_jpeg(std::span<const uint8_t> jpeg, const PixelRange& rows,
                                  const PixelRange& columns);

}  // namespace resnext
