// SPDX-License-Identifier: BSD-3-Clause
#include "worker/command_line.h"

#include <CLI/CLI.hpp>

#include "comm/common/error.h"

namespace resnext {

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app{"Trains a ResNeXt; start one process a GPU (or CPU slot) with mpirun or srun."};
  app.set_version_flag("--version", RESNEXT_VERSION);
  app.add_option("config", line.config, "run configuration (YAML)");
  app.add_option("overrides", line.overrides, "KEY=VALUE, e.g. optimizer.base_lr=0.2");
  bool evaluate = false, print_config = false, plan = false, all_reduce = false;
  auto* e = app.add_flag("--evaluate", evaluate,
                         "validation only, of the latest checkpoint or model.pretrained");
  auto* c = app.add_flag("--print-config", print_config, "print the resolved configuration");
  auto* p = app.add_flag("--plan", plan, "print sizes, memory and schedule without training");
  auto* x = app.add_option("--export", line.export_file,
                           "write the weights that --evaluate would take to a file that ends in "
                           ".pt, .pth or .safetensors");
  auto* r = app.add_flag("--all-reduce", all_reduce,
                         "measure a sum over all ranks; needs no configuration");
  e->excludes(c)->excludes(p)->excludes(r)->excludes(x);
  x->excludes(c)->excludes(p)->excludes(r);
  c->excludes(p)->excludes(r);
  p->excludes(r);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return {Action::kHelp, {}, {}, {}, app.help()};
  } catch (const CLI::CallForVersion& version) {
    return {Action::kHelp, {}, {}, {}, std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    throw ConfigError("command line", error.what(), "see resnext_worker --help");
  }
  if (evaluate) line.action = Action::kEvaluate;
  if (print_config) line.action = Action::kPrintConfig;
  if (x->count() > 0) line.action = Action::kExport;
  if (plan) line.action = Action::kPlan;
  if (all_reduce) line.action = Action::kAllReduce;
  if (line.config.empty() && !all_reduce) {
    throw ConfigError("command line", "no configuration is named", "see resnext_worker --help");
  }
  return line;
}

}  // namespace resnext
