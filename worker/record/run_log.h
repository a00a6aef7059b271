// What a run tells people and tools: the start table, progress lines, metrics.jsonl, the summary at
// its end. Rank 0 only; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "comm/common/error.h"
#include "comm/common/file_system.h"
#include "configs/run_config.h"
#include "worker/record/accuracy.h"
#include "worker/record/event_file.h"
#include "worker/record/meters.h"
#include "worker/record/metrics_log.h"
#include "worker/record/run_shape.h"

namespace resnext {

// Where a run stands, as its lines tell it.
struct LoggedPlace {
  int64_t step = 0;         // updates taken
  int64_t epoch = 0;        // of the last of them, from 0
  int64_t total_steps = 0;  // updates of the whole run, as it looks from here
};

// What the meters do not know of steps.
struct LoggedSteps {
  int64_t skipped = 0;       // of the whole run
  uint64_t tally = 0;        // of the images since the last line (data/sampler.h)
  double gradient_norm = 0;  // of the last one, before clipping
};

// What a run leaves behind.
struct LoggedSaves {
  std::filesystem::path newest, best;  // folders; empty: none
  double best_top1 = -1;               // percent
};

class RunLog {
 public:
  // Creates the run folder with config.yaml, and continues metrics.jsonl. Throws OutputError.
  RunLog(const RunConfig& config, const RunShape& shape, FileSystem& files, const KeptLines& kept);

  // `changes`: what this start changes, besides keys; empty: nothing.
  void start(const LoggedPlace& place, const std::string& changes);
  // `lr` of the last step; the meters cover the steps since the last line.
  void train(const LoggedPlace& place, double lr, const LoggedSteps& steps, const Meters& meters);
  // For TensorBoard. A picture is encoded and written beside training.
  void observations(const LoggedPlace& place, const std::vector<NamedValues>& gradient_norms,
                    Picture picture);
  // `best`: what decides of it.
  void validation(const LoggedPlace& place, const Validation& validation, bool best);
  // A save of `step` is whole. From any thread.
  static void saved(int64_t step, double written_s, double stood_still_s);
  // The run ends in order, or with an error.
  void end(const LoggedPlace& place, ExitCode code, const LoggedSaves& saves);
  void failed(const LoggedPlace& place, const Error& error);

  // What was written is on the storage. From any thread.
  void sync() { metrics_.sync(); }

 private:
  void validation_of(const char* event, const char* weights, const LoggedPlace& place,
                     const Accuracy& accuracy, bool best);

  using Clock = std::chrono::steady_clock;

  RunConfig config_;
  std::optional<RunConfig> before_;  // of the last start
  RunShape shape_;
  MetricsLog metrics_;
  std::optional<EventFile> events_;  // with log.tensorboard
  Clock::time_point begin_ = Clock::now();
  int64_t first_step_ = 0;
  std::jthread picture_;  // writes one; ends first
};

}  // namespace resnext
