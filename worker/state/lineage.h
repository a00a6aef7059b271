// The line of saves that a run stands on.
//
// Saves have serial numbers that only grow over the whole life of a run. Going back to an older one
// starts a new line: what was saved after it belongs to the line that was left. A lineage is the
// list of lines from the first to the present one, each with the last serial that counts.
// Plain data; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace resnext {

class Lineage {
 public:
  static constexpr int64_t kOpen = std::numeric_limits<int64_t>::max();

  struct Line {
    int64_t id = 0;
    int64_t until = kOpen;  // the last serial of the line that belongs here
  };

  // One line without ancestors.
  explicit Lineage(int64_t id = 0) : lines_{Line{id, kOpen}} {}

  int64_t line() const { return lines_.back().id; }
  // A save of `line` with this serial is an ancestor of what comes next.
  bool holds(int64_t line, int64_t serial) const;

  // The lineage of the save `serial` of the present line.
  Lineage at(int64_t serial) const;
  // What follows the last save, in the same line.
  Lineage open() const;
  // What follows the last save, in a new line.
  Lineage branch(int64_t id) const;

  const std::vector<Line>& lines() const { return lines_; }

 private:
  std::vector<Line> lines_;  // never empty

  friend Lineage to_lineage(const nlohmann::ordered_json& json);
};

// [[id, until], ...]; throws nlohmann::json::exception.
nlohmann::ordered_json to_json(const Lineage& lineage);
Lineage to_lineage(const nlohmann::ordered_json& json);

}  // namespace resnext
