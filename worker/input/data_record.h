// What a run has learned from: kept in its checkpoints, compared at every start.
//
// Two data sets with equal records give a network the same classes and the same places in an epoch.
// Plain data; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/data_options.h"

namespace resnext {

struct SplitRecord {
  int64_t count = 0;    // images; 0: there is no such split
  uint32_t labels = 0;  // CRC-32C of all labels, int64 little-endian
  std::string storage;  // "raw", "jpeg"
  bool operator==(const SplitRecord&) const = default;
};

struct DataRecord {
  SplitRecord train, validation;
  std::vector<std::string> class_names;
  std::array<double, 3> mean{}, std{};  // RGB, of pixels in 0..1
  int64_t classes = 0;                  // outputs of the network
  RecipeName recipe = RecipeName::kTorchvision;
  int64_t size = 0, evaluation_size = 0, resize = 0;  // pixels
};

// What differs in a way that changes what labels mean or where an epoch stands, in words ("1000
// training images, then 500"); empty: nothing. Recipe and sizes may change.
std::string difference(const DataRecord& before, const DataRecord& now);

nlohmann::ordered_json to_json(const DataRecord& record);
// Throws nlohmann::json::exception.
DataRecord to_data_record(const nlohmann::ordered_json& json);

}  // namespace resnext
