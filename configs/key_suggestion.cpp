// Suggestions for unknown keys, by edit distance.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/key_suggestion.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "comm/common/edit_distance.h"
#include "configs/run_keys.h"

namespace resnext {
namespace {

constexpr size_t kLongestKey = 64;  // longer ones resemble nothing, and cost time to compare

// Case and hyphens are the commonest slips, so they do not count.
std::string normalised(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

// Every key and every section, dotted.
std::vector<std::string_view> known_names() {
  std::vector<std::string_view> names;
  for (const RunKey& key : run_keys()) {
    names.push_back(key.name);
    for (auto section = section_of(key.name); !section.empty(); section = section_of(section)) {
      if (std::ranges::find(names, section) == names.end()) names.push_back(section);
    }
  }
  return names;
}

// Is `word` one of the words of `key`, as "lr" is of "base_lr"?
bool has_word(std::string_view key, std::string_view word) {
  return !word.empty() && fmt::format("_{}_", key).find(fmt::format("_{}_", word)) != key.npos;
}

// A right leaf in the wrong section is one step away, and so is a word of a leaf in the right one.
int distance(const std::string& name, std::string_view known) {
  const int whole = edit_distance(name, known);
  if (section_of(name) == section_of(known) && has_word(leaf_of(known), leaf_of(name))) {
    return std::min(whole, 1);
  }
  return std::min(whole, edit_distance(leaf_of(name), leaf_of(known)) + 1);
}

}  // namespace

std::string suggest_key(std::string_view name) {
  const std::string wanted = normalised(name.substr(0, kLongestKey));
  const auto names = known_names();
  const auto nearest = std::ranges::min_element(
      names, {}, [&wanted](std::string_view known) { return distance(wanted, known); });
  const int allowed = std::max<int>(2, static_cast<int>(leaf_of(wanted).size()) / 3);
  if (distance(wanted, *nearest) > allowed) {
    const std::string_view section = is_section(section_of(name)) ? section_of(name) : "";
    return (section.empty() ? "the sections are " : "its section has the keys ") +
           keys_of_section(section);
  }
  if (section_of(*nearest) != section_of(name) && leaf_of(wanted) == leaf_of(*nearest)) {
    return fmt::format("'{}' belongs to the section '{}': write {}", leaf_of(*nearest),
                       section_of(*nearest), *nearest);
  }
  return fmt::format("did you mean '{}'?", *nearest);
}

std::string keys_of_section(std::string_view section) {
  std::string list;
  for (std::string_view name : known_names()) {
    if (section_of(name) != section) continue;
    if (section.empty() && !is_section(name)) continue;
    if (!list.empty()) list += ", ";
    list += leaf_of(name);
  }
  return list;
}

}  // namespace resnext
