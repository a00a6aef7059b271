// Stands in where libjpeg-turbo's jpegint.h was not there when this was built: libjpeg decodes.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/huffman_decoder.h"

namespace resnext {

struct HuffmanDecoder::Scan {};

HuffmanDecoder::HuffmanDecoder(size_t) {}
HuffmanDecoder::~HuffmanDecoder() = default;

bool HuffmanDecoder::install(jpeg_decompress_struct&) {
  return false;
}

void check_huffman_codes(std::span<const uint8_t>) {}

}  // namespace resnext
