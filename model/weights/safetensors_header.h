// The JSON header of a safetensors file (safetensors.h), parsed strictly and without a tree.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace resnext {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  // "F32"
  std::vector<int64_t> shape;
  std::vector<uint64_t> offsets;  // begin, end
};

// The entries in the header's order, without "__metadata__". Throws std::invalid_argument that says
// what is wrong: no such JSON, a name or field twice, a field unknown or missing, too many tensors
// or dimensions. Shapes and offsets are not looked at.
std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view json);

// "F32" and its dtype; nothing and "" for what weights files of ours do not hold.
std::optional<c10::ScalarType> safetensors_dtype(std::string_view name);
std::string_view safetensors_name(c10::ScalarType dtype);

}  // namespace resnext
