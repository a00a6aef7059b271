// JSON text that knows its own checksum.
//
// One layout, with "crc32c" of the rest (data/container/checksum.h) as the last entry: another
// layout, bit or length is damage. Pure.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace resnext {

std::string seal(nlohmann::ordered_json json);
// The object without its checksum. Throws CheckpointError naming `path` when it is damaged.
nlohmann::ordered_json unseal(const std::string& text, const std::string& path);

}  // namespace resnext
