// CRC-32C (Castagnoli) of a byte range, as the container stores it for each sample.
//
// The common definition (RFC 3720: initial value and final inversion of all ones), so that other
// tools can check it: crc32c("123456789") is 0xe3069283. Pure; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

namespace resnext {

// `before`: the checksum of what came before these bytes; 0 at the start.
uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t before = 0);

}  // namespace resnext
