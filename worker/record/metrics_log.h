// metrics.jsonl: one JSON object a line, appended and flushed at once. Rank 0 only; local.
//
// Events and their fields are the contract in architecture: start, train, validation, end.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <fstream>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace resnext {

class MetricsLog {
 public:
  // Opens `path` for a run that continues after `step` steps: train and validation lines of later
  // steps, "end" lines and a torn last line are dropped (they will be written again). Throws
  // OutputError.
  MetricsLog(std::string path, int64_t step);

  // Throws OutputError when the line could not be written.
  void write(const nlohmann::ordered_json& event);

 private:
  std::string path_;
  std::ofstream stream_;
};

}  // namespace resnext
