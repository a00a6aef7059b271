// `resnext_launcher scale --predict`: the model of scale_model.h for a configuration.
//
// What a rank computes comes from the network's plan and the machine's rates, or from one rank that
// was measured, whose times are spread over the layers as the plan's are. Pure functions, but for
// reading the measurement. Throws ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "launcher/command_line.h"
#include "launcher/scale_model.h"
#include "launcher/text_table.h"

namespace resnext {

// Of one rank with `per_rank` images. A measurement's file: task.from, or empty.
ComputeProfile profile_of(const RunConfig& config, int64_t per_rank, const PredictionOptions& task);

struct Prediction {
  int ranks = 1;
  double images_per_second = 0;
  double efficiency = 100;  // percent, of images a second and rank, against one rank
  PredictedStep step;
};

std::vector<Prediction> predict(const RunConfig& config, const std::vector<int>& ranks,
                                const PredictionOptions& task);

std::vector<Row> to_rows(const std::vector<Prediction>& predictions);
nlohmann::ordered_json to_json(const std::vector<Prediction>& predictions);

}  // namespace resnext
