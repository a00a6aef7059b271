// The dtypes of a state_dict and the names that torch.save() gives their storages.
//
// Names are pickle globals, "module name" (torch/storage.py, torch/serialization.py). Pure.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string_view>

namespace resnext {

struct StorageName {
  c10::ScalarType dtype;
  std::string_view storage;  // "torch FloatStorage"
};

inline constexpr StorageName kStorageNames[] = {
    {c10::ScalarType::Float, "torch FloatStorage"},
    {c10::ScalarType::Double, "torch DoubleStorage"},
    {c10::ScalarType::Half, "torch HalfStorage"},
    {c10::ScalarType::BFloat16, "torch BFloat16Storage"},
    {c10::ScalarType::Long, "torch LongStorage"},
    {c10::ScalarType::Int, "torch IntStorage"},
    {c10::ScalarType::Short, "torch ShortStorage"},
    {c10::ScalarType::Char, "torch CharStorage"},
    {c10::ScalarType::Byte, "torch ByteStorage"},
    {c10::ScalarType::Bool, "torch BoolStorage"},
};

// The dtype of a storage global; nothing for another global.
inline std::optional<c10::ScalarType> storage_dtype(std::string_view global) {
  for (const StorageName& entry : kStorageNames) {
    if (entry.storage == global) return entry.dtype;
  }
  return std::nullopt;
}

// The storage global of a dtype; empty for a dtype that weights files of ours do not hold.
inline std::string_view storage_global(c10::ScalarType dtype) {
  for (const StorageName& entry : kStorageNames) {
    if (entry.dtype == dtype) return entry.storage;
  }
  return {};
}

}  // namespace resnext
