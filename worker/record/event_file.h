// TensorBoard's event file: scalars, histograms and a picture by step, and what runs are compared
// by, written without TensorFlow.
//
// Records as TensorFlow's TFRecord (tensorflow/core/lib/io/record_writer.h): length, masked CRC-32C
// of it, data, masked CRC-32C of it; data are Event messages (tensorflow/core/util/event.proto,
// framework/summary.proto) in protocol buffer encoding. Hyper-parameters as TensorBoard's plugin
// reads them (tensorboard/plugins/hparams/plugin_data.proto). Rank 0 only; local. Any thread may
// write. All throw OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/record/hyper_parameters.h"
#include "worker/record/observation.h"

namespace resnext {

class EventFile {
 public:
  // Creates events.out.tfevents.<seconds>.<process> in `folder`.
  explicit EventFile(const std::filesystem::path& folder);

  // Each one event at `step`; flushed. Scalars: (tag, value).
  void write(int64_t step, const std::vector<std::pair<std::string_view, double>>& scalars);
  // Of finite values; a stage without one is left out.
  void write_histograms(int64_t step, const std::string& group,
                        const std::vector<NamedValues>& values);
  // `png` holds `picture`.
  void write_picture(int64_t step, std::string_view tag, const Picture& picture,
                     std::string_view png);

  // The run as TensorBoard compares it: what it was started with, and how it ended.
  void write_start(const std::vector<HyperParameter>& parameters);
  void write_end(bool finished);

 private:
  void write_summary(int64_t step, const std::string& summary);
  void write_hparams(std::string_view tag, const std::string& content);
  void write_record(const std::string& data);

  std::string path_;
  std::mutex mutex_;
  std::ofstream stream_;
};

}  // namespace resnext
