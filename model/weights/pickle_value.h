// What a pickle of torch.save() says, as data. Texts are views into the pickle's bytes.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model/weights/tensor_loader.h"

namespace resnext {

struct PickleValue;
using PickleItems = std::vector<PickleValue*>;

struct PickleNone {};
struct PickleGlobal {
  std::string_view module, name;
  bool is(std::string_view m, std::string_view n) const { return module == m && name == n; }
};
// Any object that is not understood, and is not needed: nothing of it was called. `kind` is its
// class or the function that would have made it, null for bytes, sets and wide numbers.
struct PickleOpaque {
  const PickleGlobal* kind = nullptr;
};
struct PickleList {
  PickleItems items;
};
struct PickleTuple {
  PickleItems items;
};
struct PickleDict {
  std::vector<std::pair<PickleValue*, PickleValue*>> items;  // in the file's order
};
struct PickleValue {
  std::variant<PickleNone, bool, int64_t, double, std::string_view, PickleGlobal, PickleList,
               PickleTuple, PickleDict, const SavedStorage*, const SavedTensor*, PickleOpaque>
      data;

  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&data);
  }
};

}  // namespace resnext
