// SPDX-License-Identifier: BSD-3-Clause
#include "worker/command_line.h"

#include <CLI/CLI.hpp>

#include "comm/common/error.h"

namespace resnext {
namespace {

CommandLine help(std::string text) {
  CommandLine line;
  line.action = Action::kHelp;
  line.help = std::move(text);
  return line;
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app{"Trains a ResNeXt; start one process a GPU (or CPU slot) with mpirun or srun."};
  app.set_version_flag("--version", RESNEXT_VERSION);
  app.add_option("config", line.config, "run configuration (YAML)");
  app.add_option("overrides", line.overrides, "KEY=VALUE, e.g. optimizer.base_lr=0.2");
  // What it does besides training: one of these.
  CLI::Option_group& actions = *app.add_option_group("Actions", "instead of training");
  actions.require_option(0, 1);
  const auto flag = [&](const char* name, Action action, const char* text) {
    return actions.add_flag_callback(
        name, [&line, action] { line.action = action; }, text);
  };
  auto* evaluate = flag("--evaluate", Action::kEvaluate,
                        "validation only, of the latest checkpoint or model.pretrained");
  auto* classify =
      actions
          .add_option("--classify", line.images, "name what is in these images or folders of them")
          ->type_name("PATH");
  auto* features =
      actions
          .add_option("--features", line.features,
                      "write what the classifier sees of the validation split to an HDF5 file")
          ->type_name("FILE.h5");
  auto* exported =
      actions
          .add_option("--export", line.export_file,
                      "write the network that --evaluate would take for other programs")
          ->type_name("FILE");
  flag("--print-config", Action::kPrintConfig, "print the resolved configuration");
  flag("--plan", Action::kPlan, "print sizes, memory and schedule without training");
  auto* all_reduce =
      flag("--all-reduce", Action::kAllReduce,
           "measure a sum over all ranks, of a configuration's comm.backend if one is named");
  app.add_flag("--fold-norm", line.fold_norm, "with --export FILE.onnx: BN within convolutions")
      ->needs(exported);
  app.add_option("--per-class", line.per_class, "with --evaluate: accuracy of each class, as CSV")
      ->type_name("FILE.csv")
      ->needs(evaluate);
  app.add_option("--confusion", line.confusion, "with --evaluate: which class was taken for which")
      ->type_name("FILE.csv")
      ->needs(evaluate);
  app.add_flag("--json", line.json, "results of --evaluate, --classify and --all-reduce as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return help(app.help());
  } catch (const CLI::CallForVersion& version) {
    return help(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    throw ConfigError("command line", error.what(), "see resnext_worker --help");
  }
  if (*classify) line.action = Action::kClassify;
  if (*features) line.action = Action::kFeatures;
  if (*exported) line.action = Action::kExport;
  if (line.config.empty() && !*all_reduce) {
    throw ConfigError("command line", "no configuration is named", "see resnext_worker --help");
  }
  return line;
}

}  // namespace resnext
