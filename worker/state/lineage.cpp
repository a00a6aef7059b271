// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/lineage.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace resnext {

using Json = nlohmann::ordered_json;

bool Lineage::holds(int64_t line, int64_t serial) const {
  return std::ranges::any_of(
      lines_, [&](const Line& mine) { return mine.id == line && serial <= mine.until; });
}

Lineage Lineage::at(int64_t serial) const {
  Lineage cut = *this;
  cut.lines_.back().until = serial;
  return cut;
}

Lineage Lineage::open() const {
  return at(kOpen);
}

Lineage Lineage::branch(int64_t id) const {
  Lineage grown = *this;
  grown.lines_.push_back({id, kOpen});
  return grown;
}

Json to_json(const Lineage& lineage) {
  Json json = Json::array();
  for (const Lineage::Line& line : lineage.lines()) json.push_back({line.id, line.until});
  return json;
}

Lineage to_lineage(const Json& json) {
  Lineage lineage;
  lineage.lines_.clear();
  for (const Json& line : json) lineage.lines_.push_back({line.at(0), line.at(1)});
  if (lineage.lines_.empty()) lineage.lines_.emplace_back();
  return lineage;
}

}  // namespace resnext
