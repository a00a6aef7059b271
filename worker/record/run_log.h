// What a run tells people and tools: the start table, progress lines, metrics.jsonl. Rank 0 speaks;
// on other ranks every function does nothing. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "comm/common/error.h"
#include "configs/run_config.h"
#include "worker/evaluator.h"
#include "worker/record/event_file.h"
#include "worker/record/meters.h"
#include "worker/record/metrics_log.h"
#include "worker/record/run_shape.h"

namespace resnext {

class RunLog {
 public:
  // Rank 0 creates the run folder with config.yaml, and continues metrics.jsonl after `step` steps.
  // Throws OutputError.
  RunLog(const RunConfig& config, const RunShape& shape, int rank, int64_t step);

  void start(int64_t step);
  // `step` steps are taken, the last in `epoch` (from 0); the meters cover those since the last
  // line.
  void train(int64_t step, int64_t epoch, double lr, const Meters& meters);
  void validation(int64_t step, int64_t epoch, const Accuracy& accuracy, bool best);
  void end(int64_t step, ExitCode code);

 private:
  void write(const nlohmann::ordered_json& event);

  RunConfig config_;
  RunShape shape_;
  std::optional<MetricsLog> metrics_;  // on rank 0
  std::optional<EventFile> events_;    // on rank 0, with log.tensorboard
};

}  // namespace resnext
