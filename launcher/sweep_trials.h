// From a sweep file to its trials: every combination, its name, its whole configuration, its cost.
//
// Local; reads the base configuration and starts nothing. Throws ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "configs/run_config.h"
#include "configs/sweep_reader.h"
#include "model/network/cost.h"

namespace resnext {

struct Trial {
  std::string name;
  std::string group;  // its name but for the seed: the same for all repeats
  RunConfig config;   // run.output is the trial's own folder
  std::vector<std::pair<std::string, std::string>> values;  // of the varied keys, and solved ones
  Cost cost;
  int64_t memory_bytes =
      0;  // of a rank, estimate: float32 weights, gradients, momentum, activations
};

// In the order of the file: the last key of `grid` changes faster than the first, `zip` fastest but
// for the repeats.
// `overrides` count for every trial. `ranks`: of a trial, for the memory; 0 counts as 1. Where
// model.classes is 0, cost is that of 1000 classes (imagenet) or 10 (cifar).
std::vector<Trial> expand_sweep(const SweepFile& sweep, const std::vector<std::string>& overrides,
                                int ranks);

// One trial with its cost and memory.
Trial make_trial(std::string name, std::vector<std::pair<std::string, std::string>> values,
                 RunConfig config, int ranks);

// Parameters, GMAC, gradient and memory of each.
std::string describe_trials(const std::vector<Trial>& trials);

}  // namespace resnext
