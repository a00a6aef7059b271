// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/classes.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "comm/common/error.h"
#include "data/container/container.h"
#include "data/container/file.h"
#include "data/container/hdf5_handle.h"

namespace resnext {
namespace {

bool is_hdf5(const std::string& path) {
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  return H5Fis_hdf5(path.c_str()) > 0;
}

ClassNames names_of_container(const std::string& path) {
  ClassNames names = Container(path).class_names();
  if (names.empty()) {
    throw DataError(path, "does not name its classes", "give a text file with one name a line");
  }
  return names;
}

// In quotation marks where blanks at an end would not be seen.
std::string visible(const std::string& name) {
  constexpr const char* kBlanks = " \t\r\n";
  const bool hidden = !name.empty() && (std::strchr(kBlanks, name.front()) != nullptr ||
                                        std::strchr(kBlanks, name.back()) != nullptr);
  return hidden ? "'" + name + "'" : name;
}

}  // namespace

std::optional<int64_t> number_of(const std::string& name) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return value;
}

bool are_numbers(const ClassNames& names) {
  return std::ranges::all_of(names,
                             [](const std::string& name) { return number_of(name).has_value(); });
}

void sort_by_number(ClassNames& numbers) {
  std::ranges::stable_sort(numbers, {}, [](const std::string& name) { return number_of(name); });
}

void check_class_names(const ClassNames& names, const std::string& where) {
  std::unordered_set<std::string> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) {
      throw DataError(where, "class " + std::to_string(i) + " has no name",
                      "give each class a name of its own");
    }
    if (!seen.insert(names[i]).second) {
      throw DataError(where, "two classes are named '" + names[i] + "'",
                      "give each class a name of its own");
    }
  }
}

ClassNames read_class_list(const std::string& path) {
  const InputFile readable(path);  // for its clear errors
  if (is_hdf5(path)) return names_of_container(path);
  ClassNames names = read_lines(path);
  if (names.empty()) throw DataError(path, "names no class", "write one name a line");
  check_class_names(names, path);
  return names;
}

std::vector<int64_t> places_of(const ClassNames& names, const ClassNames& all) {
  std::unordered_map<std::string, int64_t> place;
  for (size_t i = 0; i < all.size(); ++i) place.emplace(all[i], static_cast<int64_t>(i));
  std::vector<int64_t> places;
  for (const std::string& name : names) {
    const auto found = place.find(name);
    places.push_back(found == place.end() ? -1 : found->second);
  }
  return places;
}

ClassNames missing_from(const ClassNames& others, const ClassNames& names) {
  const std::vector<int64_t> places = places_of(names, others);
  ClassNames missing;
  for (size_t i = 0; i < names.size(); ++i) {
    if (places[i] < 0) missing.push_back(names[i]);
  }
  return missing;
}

std::string name_some(const ClassNames& names) {
  constexpr size_t kNamed = 8;
  if (names.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamed; ++i) {
    text += (i == 0 ? "" : ", ") + visible(names[i]);
  }
  if (names.size() > kNamed) text += " and " + std::to_string(names.size() - kNamed) + " more";
  return text;
}

}  // namespace resnext
