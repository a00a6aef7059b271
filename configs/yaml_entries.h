// Splits a YAML file or an override into (key, values): the only place that touches yaml-cpp.
//
// Works on the parser's events and builds no tree, so that aliases cannot expand and nesting ends
// at the first level that the table of keys does not have. Keys are checked here (known, in the
// right section, not twice), values are not. Local; throws ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

namespace resnext {

struct YamlScalar {
  std::string text;
  bool quoted = false;  // "3" is text, 3 is a number
  std::string where;    // FILE:LINE:COLUMN, or the override
};

struct YamlEntry {
  std::string key;  // dotted, known
  std::string where;
  bool is_list = false;
  std::vector<YamlScalar> values;  // exactly one unless is_list
};

// The file as text: readable, UTF-8, at most 1 MiB. Throws ConfigError.
std::string read_text_file(const std::string& file);

// The file's keys in its order; `file` must be readable, UTF-8 and at most 1 MiB.
std::vector<YamlEntry> read_yaml_entries(const std::string& file);

// "optimizer.base_lr=0.2"; the value is YAML: "schedule.milestones=[30, 60]".
YamlEntry parse_override(const std::string& text);

}  // namespace resnext
