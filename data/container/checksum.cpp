// CRC-32C through ISA-L, which takes lengths up to 2 GiB at a time.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/checksum.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <bit>

namespace resnext {
namespace {

static_assert(std::endian::native == std::endian::little);  // as the files are

template <typename T>
std::span<const uint8_t> bytes_of(const T* values, size_t count) {
  return {reinterpret_cast<const uint8_t*>(values), count * sizeof(T)};
}

}  // namespace

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

uint32_t description_crc32c(const std::vector<int64_t>& labels,
                            const std::vector<std::string>& class_names,
                            const std::array<double, 3>& mean, const std::array<double, 3>& std) {
  uint32_t crc = crc32c(bytes_of(labels.data(), labels.size()));
  for (const std::string& name : class_names) {
    crc = crc32c(bytes_of(name.c_str(), name.size() + 1), crc);
  }
  crc = crc32c(bytes_of(mean.data(), mean.size()), crc);
  return crc32c(bytes_of(std.data(), std.size()), crc);
}

}  // namespace resnext
