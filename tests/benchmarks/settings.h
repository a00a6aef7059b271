// What the benchmarks of a network are told on the command line.
//
//   [--config FILE [KEY=VALUE...]] [--depth 50 --cardinality 32 --base-width 4 --batch 8 --size 224
//   --steps 12 --compute fp32 --json FILE]
// FILE is a configuration, in which keys may be overridden as in the worker's: its network, recipe
// and precision are measured but for what the other options say; batch and size are theirs alone.
// Without one it is ResNeXt-50 by SGD in float32. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "configs/run_config.h"

namespace resnext {

struct BenchmarkSettings {
  RunConfig run;  // classes, batch.per_rank and data.size are set
  std::vector<std::string> overrides;
  int64_t steps = 12;  // counted ones, where the benchmark takes steps
  std::string json;    // file for the figures; empty: none
};

// The options above, which fill in `settings`; both must live until parse() has ended.
void add_benchmark_options(CLI::App& app, BenchmarkSettings& settings);

// Ends the program where the line is wrong, or asks for help.
void parse(CLI::App& app, int argc, char** argv);

}  // namespace resnext
