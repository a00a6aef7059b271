// Torch7's binary serialisation, written: modules with their fields (model/weights/t7_reader.h says
// the format).
//
// A module is an object of its class that writes a table of its fields; each tensor has a storage
// of its own. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/weights/byte_sink.h"

namespace resnext {

struct T7Module;
using T7Modules = std::vector<T7Module>;     // a table with the keys 1, 2, ...
using T7LongStorage = std::vector<int64_t>;  // torch.LongStorage
using T7Field = std::variant<double, bool, std::string, at::Tensor, T7LongStorage, T7Modules>;

struct T7Module {
  std::string type;  // "nn.Sequential"
  std::vector<std::pair<std::string, T7Field>> fields;
};

// Tensors are dense float32 on the CPU, contiguous; an undefined one is an empty one. What `sink`
// throws comes out of this.
void write_t7_module(const T7Module& module, const ByteSink& sink);

}  // namespace resnext
