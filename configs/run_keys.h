// The table of configuration keys: spelling, place in RunConfig, type, range and documentation.
//
// Parsing, overriding, printing and the suggestion for an unknown key all come from this table, so
// a new option is one new line in run_keys.cpp. Immutable, so safe from any thread; throws nothing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "configs/run_config.h"

namespace resnext {

// The member that a key stands for.
template <typename T>
using Member = T& (*)(RunConfig&);

// Real numbers from min to max; an open end is not part of it.
struct Interval {
  double min = 0;
  double max = 0;
  bool open_min = false;
  bool open_max = false;

  bool contains(double value) const;
};

struct IntField {
  Member<int64_t> at;
  int64_t min;
  int64_t max;
};
struct SeedField {  // every 64-bit value is a seed
  Member<uint64_t> at;
};
struct RealField {
  Member<double> at;
  Interval range;
};
struct RealListField {
  Member<std::vector<double>> at;
  Interval range;  // of each element
};
struct BoolField {
  Member<bool> at;
};
struct TextField {
  Member<std::string> at;
  bool may_be_empty;
};
struct TextListField {  // one text or a list of texts
  Member<std::vector<std::string>> at;
};
struct ChoiceField {
  std::string_view spellings;  // "a|b|c"; the n-th is the enumerator of value n
  int (*get)(RunConfig&);
  void (*set)(RunConfig&, int);
};

struct RunKey {
  std::string_view name;  // dotted: "optimizer.base_lr"
  std::string_view doc;   // one line
  std::variant<IntField, SeedField, RealField, RealListField, BoolField, TextField, TextListField,
               ChoiceField>
      field;
};

// In the order in which they are printed; the keys of a section are neighbours.
std::span<const RunKey> run_keys();
std::vector<std::string> run_key_names();

// nullptr when there is no such key.
const RunKey* find_run_key(std::string_view name);

// "" (the file itself), "model", "model.stem", ...
bool is_section(std::string_view name);

// "optimizer.base_lr" -> "optimizer"; "base_lr" -> "".
std::string_view section_of(std::string_view name);

// "optimizer.base_lr" -> "base_lr".
std::string_view leaf_of(std::string_view name);

// "a|b|c" -> {"a", "b", "c"}.
std::vector<std::string_view> split_spellings(std::string_view spellings);

}  // namespace resnext
