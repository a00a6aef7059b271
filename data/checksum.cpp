// CRC-32C through ISA-L, which takes lengths up to 2 GiB at a time.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/checksum.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace resnext {

uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t before) {
  constexpr size_t kPiece = 1 << 30;
  uint32_t crc = ~before;
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(kPiece, bytes.size()));
    // ISA-L only reads the buffer; its signature lacks the const.
    crc = crc32_iscsi(const_cast<uint8_t*>(piece.data()), static_cast<int>(piece.size()), crc);
    bytes = bytes.subspan(piece.size());
  }
  return ~crc;
}

}  // namespace resnext
