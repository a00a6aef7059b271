// Decodes the Huffman codes of baseline JPEG in the place of libjpeg's function for it.
//
// Most of the time of decoding goes into these codes. libjpeg-turbo looks up a code and then reads
// the bits of its value, and takes the slower of its two functions wherever there are restart
// markers (jdhuff.c: decode_mcu). Here one look-up finds run, value and length of most coefficients
// at once, in codes out of which the stuffed bytes were taken before; intervals between restart
// markers that hold nothing of the decompressor's rows and columns are passed over. Coefficients
// are the same; all else (inverse DCT, smoothed chroma, colours) stays libjpeg's.
// Local; one thread at a time.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "data/image/jpeg_library.h"

namespace resnext {

class HuffmanDecoder {
 public:
  // For a JPEG of at most so many bytes.
  explicit HuffmanDecoder(size_t jpeg_bytes);
  ~HuffmanDecoder();
  HuffmanDecoder(const HuffmanDecoder&) = delete;
  HuffmanDecoder& operator=(const HuffmanDecoder&) = delete;

  // Takes over the codes of an image whose decompression has just started, which it must outlive.
  // False, and nothing happens, where that is not of one baseline scan, or this program was built
  // without libjpeg-turbo's jpegint.h. Damage becomes one of libjpeg's warnings.
  bool install(jpeg_decompress_struct& info);

 private:
  struct Scan;
  std::unique_ptr<Scan> scan_;
};

// Throws DamagedImage where the codes of a baseline JPEG are none, end early or have other markers
// than should be. libjpeg-turbo's faster function takes what is no code for the end of a block.
void check_huffman_codes(std::span<const uint8_t> jpeg);

}  // namespace resnext
