// The worker's command line: resnext_worker CONFIG.yaml [KEY=VALUE ...] [--evaluate | --export FILE
// | ...]. SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

namespace resnext {

enum class Action { kTrain, kEvaluate, kPrintConfig, kPlan, kExport, kAllReduce, kHelp };

struct CommandLine {
  Action action = Action::kTrain;
  std::string config;
  std::vector<std::string> overrides;
  std::string export_file;  // for kExport
  std::string help;         // what to print for kHelp
};

// Throws ConfigError on a usage error.
CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace resnext
