// Values of keys: text to typed member with its checks, and typed member to text.
//
// Local; pure functions of their arguments. Numbers are written in the shortest form that reads
// back equal (fmt).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "configs/run_keys.h"
#include "configs/yaml_entries.h"

namespace resnext {

// Sets the key's member from the entry. Throws ConfigError: wrong type, out of range, NaN or
// infinity, does not fit 64 bits, list for a scalar or the other way round.
void assign_value(const RunKey& key, const YamlEntry& entry, RunConfig& config);

// The member's value as YAML, on one line.
std::string format_value(const RunKey& key, RunConfig& config);

struct KeyChange {
  std::string_view key;
  std::string before;
  std::string now;
};

// The keys whose values differ, in the table's order.
std::vector<KeyChange> changed_keys(RunConfig before, RunConfig now);

// What the key takes, in words: "a whole number from 1 to 9", "one of a, b, c".
std::string expected_value(const RunKey& key);

// `text` cut to a length that fits a message.
std::string shorten(std::string_view text);

}  // namespace resnext
