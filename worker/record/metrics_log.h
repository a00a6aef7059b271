// metrics.jsonl: one JSON object a line, appended at once. Rank 0 only; local.
//
// Events and their fields are the contract in architecture: start, train, validation, end.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "comm/common/file_system.h"

namespace resnext {

// Which lines of an earlier start hold where a run goes on.
struct KeptLines {
  int64_t until = 0;       // those of steps up to this
  bool validated = true;   // also the validation of that step; else it is made again
  bool set_aside = false;  // the others are kept in a file of their own: another line of the run
};

class MetricsLog {
 public:
  // Drops lines that will be written again, and a torn last line. Throws OutputError.
  MetricsLog(FileSystem& files, std::filesystem::path path, const KeptLines& kept);

  // Throws OutputError when the line could not be written.
  void write(const nlohmann::ordered_json& event);
  // All lines are on the storage. From any thread. Throws OutputError.
  void sync();

 private:
  std::filesystem::path path_;
  std::unique_ptr<WritableFile> file_;
};

}  // namespace resnext
