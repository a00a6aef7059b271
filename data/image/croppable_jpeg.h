// JPEG of which a part can be decoded without the Huffman codes around it.
//
// The codes of an image are one stream, in which each begins where the one before it ends: most of
// the time of decoding a crop goes into them, those above and beside the crop included. Restart
// markers (ITU-T T.81, E.1.4) part the stream into intervals that stand for themselves; where a row
// of the image is a whole number of intervals, those without a part of the crop are passed over
// (huffman_decoder.h).
// Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace resnext {

// The same image as one baseline scan with optimised Huffman codes and restart markers about every
// 32 pixels. What was written is read again: its coefficients, quantisation tables and sampling are
// the same, and so its pixels in any decoder. Exif, ICC profiles and other metadata are left out.
// Empty where the bytes are no JPEG, or the image cannot be written so (CMYK, a progressive one
// that ends early), cannot be decoded for another cause than damage, or would be twice as large.
// All codes of the image are read: throws DamagedImage.
std::vector<uint8_t> make_croppable(std::span<const uint8_t> jpeg);

}  // namespace resnext
