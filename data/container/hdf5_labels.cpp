// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/hdf5_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "comm/common/error.h"

namespace resnext {
namespace {

[[noreturn]] void fail(const Hdf5Reader& reader, const DatasetInfo& info, const std::string& what) {
  throw DataError(reader.path() + ":" + info.name, what,
                  "give one label for each image: a whole number, a name, or a one-hot row");
}

uint64_t row_length(const DatasetInfo& info) {
  uint64_t length = 1;
  for (size_t i = 1; i < info.dims.size(); ++i) length *= info.dims[i];
  return length;
}

// The place of the one in a row that is otherwise zero; -1 when it is not so.
int64_t place_of_one(const double* row, uint64_t length) {
  const auto* end = row + length;
  const auto* one = std::find(row, end, 1.0);
  const bool others = std::count(row, end, 0.0) != static_cast<int64_t>(length) - 1;
  return one == end || others ? -1 : one - row;
}

std::vector<int64_t> one_hot(const Hdf5Reader& reader, const DatasetInfo& info) {
  const uint64_t count = info.dims[0], length = row_length(info);
  const uint64_t block = std::max<uint64_t>(1, (1 << 20) / length);
  std::vector<int64_t> labels;
  for (uint64_t first = 0; first < count; first += block) {
    const uint64_t rows = std::min(block, count - first);
    const std::vector<double> values = reader.doubles(info, first, rows);
    for (uint64_t i = 0; i < rows; ++i) {
      labels.push_back(place_of_one(&values[i * length], length));
      if (labels.back() >= 0) continue;
      fail(reader, info, "row " + std::to_string(first + i) + " is not one-hot");
    }
  }
  return labels;
}

std::vector<int64_t> whole_numbers(const Hdf5Reader& reader, const DatasetInfo& info) {
  constexpr double kExact = 9007199254740992;  // 2^53: to there each whole number is a double
  std::vector<int64_t> labels;
  for (const double value : reader.doubles(info, 0, info.dims[0])) {
    if (value != std::nearbyint(value) || std::abs(value) > kExact) {
      fail(reader, info,
           fmt::format("label {} of sample {} is no whole number", value, labels.size()));
    }
    labels.push_back(static_cast<int64_t>(value));
  }
  return labels;
}

// The names that an enumeration's values stand for.
std::vector<std::string> member_names(const Hdf5Reader& reader, const DatasetInfo& info) {
  std::vector<std::string> texts;
  for (const double value : reader.doubles(info, 0, info.dims[0])) {
    const auto found = info.members.find(value);
    if (found == info.members.end()) {
      fail(reader, info,
           fmt::format("label {} of sample {} is none of its enumeration", value, texts.size()));
    }
    texts.push_back(found->second);
  }
  return texts;
}

Hdf5Labels named(const Hdf5Reader& reader, const DatasetInfo& info,
                 const std::vector<std::string>& texts, const ClassNames& class_names) {
  Hdf5Labels result;
  result.class_names = class_names;
  result.labels = places_of(texts, result.class_names);
  const auto unknown = std::ranges::find(result.labels, -1);
  if (unknown == result.labels.end()) return result;
  fail(reader, info,
       "'" + texts[static_cast<size_t>(unknown - result.labels.begin())] +
           "' is not among the class names");
}

ClassNames in_order(const std::vector<std::string>& texts) {
  const std::set<std::string> used(texts.begin(), texts.end());
  return {used.begin(), used.end()};
}

ClassNames in_order(const std::map<double, std::string>& members) {
  ClassNames names;
  for (const auto& [value, name] : members) names.push_back(name);
  return names;
}

}  // namespace

ClassNames find_class_names(const Hdf5Reader& reader, const DatasetInfo& labels) {
  constexpr const char* kName = "class_names";
  if (auto names = reader.strings_attribute(kName)) return *names;
  if (auto names = reader.strings_attribute(kName, labels)) return *names;
  if (reader.has_dataset(kName)) {
    const DatasetInfo names = reader.dataset(kName);
    if (names.is_text) return reader.strings(names);
  }
  return reader.root_strings_attribute(kName).value_or(ClassNames{});
}

bool can_be_labels(const DatasetInfo& info, uint64_t count) {
  if (info.dims.empty() || info.dims[0] != count || !(info.is_numeric || info.is_text))
    return false;
  return info.dims.size() <= 2 || row_length(info) == 1;
}

Hdf5Labels read_hdf5_labels(const Hdf5Reader& reader, const DatasetInfo& info, uint64_t count,
                            const ClassNames& class_names) {
  if (!can_be_labels(info, count)) {
    fail(reader, info, "must be " + std::to_string(count) + " labels, one for each image");
  }
  reader.check_stored(info);
  const uint64_t length = row_length(info);
  if (info.is_text) {
    if (length != 1) fail(reader, info, "has more than one name for an image");
    const std::vector<std::string> texts = reader.strings(info);
    return named(reader, info, texts, class_names.empty() ? in_order(texts) : class_names);
  }
  if (length > 1) return {one_hot(reader, info), class_names, static_cast<int64_t>(length)};
  if (info.members.empty()) return {whole_numbers(reader, info), class_names};
  return named(reader, info, member_names(reader, info),
               class_names.empty() ? in_order(info.members) : class_names);
}

}  // namespace resnext
