// CRC-32C (Castagnoli) of a byte range, as the container stores it for each sample.
//
// The common definition (RFC 3720: initial value and final inversion of all ones), so that other
// tools can check it: crc32c("123456789") is 0xe3069283. Pure; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace resnext {

// `before`: the checksum of what came before these bytes; 0 at the start.
uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t before = 0);

// Of what a container says of its samples, in the order that container.h gives.
uint32_t description_crc32c(const std::vector<int64_t>& labels,
                            const std::vector<std::string>& class_names,
                            const std::array<double, 3>& mean, const std::array<double, 3>& std);

}  // namespace resnext
