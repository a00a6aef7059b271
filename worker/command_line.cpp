// SPDX-License-Identifier: BSD-3-Clause
#include "worker/command_line.h"

#include <CLI/CLI.hpp>

#include "comm/common/error.h"

namespace resnext {

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app{"Trains a ResNeXt; start one process a GPU (or CPU slot) with mpirun or srun."};
  app.set_version_flag("--version", RESNEXT_VERSION);
  app.add_option("config", line.config, "run configuration (YAML)")->required();
  app.add_option("overrides", line.overrides, "KEY=VALUE, e.g. optimizer.base_lr=0.2");
  bool evaluate = false, print_config = false, plan = false;
  auto* e = app.add_flag("--evaluate", evaluate,
                         "validation only, of the latest checkpoint or model.pretrained");
  auto* c = app.add_flag("--print-config", print_config, "print the resolved configuration");
  auto* p = app.add_flag("--plan", plan, "print sizes, memory and schedule without training");
  e->excludes(c)->excludes(p);
  c->excludes(p);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return {Action::kHelp, {}, {}, app.help()};
  } catch (const CLI::CallForVersion& version) {
    return {Action::kHelp, {}, {}, std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    throw ConfigError("command line", error.what(), "see resnext_worker --help");
  }
  if (evaluate) line.action = Action::kEvaluate;
  if (print_config) line.action = Action::kPrintConfig;
  if (plan) line.action = Action::kPlan;
  return line;
}

}  // namespace resnext
