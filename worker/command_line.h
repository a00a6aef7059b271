// The worker's command line: resnext_worker CONFIG.yaml [KEY=VALUE ...] [--evaluate | ...].
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace resnext {

enum class Action {
  kTrain,
  kEvaluate,
  kClassify,
  kFeatures,
  kExport,
  kPrintConfig,
  kPlan,
  kAllReduce,
  kHelp
};

struct CommandLine {
  Action action = Action::kTrain;
  std::string config;
  std::vector<std::string> overrides;
  std::vector<std::string> images;    // kClassify: files and folders
  std::string features;               // kFeatures: file to write
  std::string export_file;            // kExport: file to write
  bool fold_norm = false;             // kExport: BN becomes part of the convolutions
  std::string per_class, confusion;   // kEvaluate: tables to write; empty: none
  std::vector<int64_t> image_counts;  // kPlan: of training and validation; empty: of the data
  bool force = false;                 // files to write may replace others
  bool json = false;                  // results as JSON, one object a line
  bool quiet = false;                 // warnings and errors only
  std::string help;                   // what to print for kHelp
};

// Throws ConfigError on a usage error.
CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace resnext
