// TensorBoard's event file: scalars by step, written without TensorFlow.
//
// Records as TensorFlow's TFRecord (tensorflow/core/lib/io/record_writer.h): length, masked CRC-32C
// of it, data, masked CRC-32C of it; data are Event messages (tensorflow/core/util/event.proto) in
// protocol buffer encoding. Rank 0 only; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace resnext {

class EventFile {
 public:
  // Creates events.out.tfevents.<seconds>.<process> in `folder`. Throws OutputError.
  explicit EventFile(const std::filesystem::path& folder);

  // One event with all `scalars` (tag, value) at `step`; flushed. Throws OutputError.
  void write(int64_t step, const std::vector<std::pair<std::string_view, double>>& scalars);

 private:
  void write_record(const std::string& data);

  std::string path_;
  std::ofstream stream_;
};

}  // namespace resnext
