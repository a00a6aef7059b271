// SPDX-License-Identifier: BSD-3-Clause
#include "worker/command_line.h"

#include <spdlog/fmt/fmt.h>

#include <filesystem>

#include "comm/common/command_parser.h"
#include "comm/common/error.h"
#include "configs/run_keys.h"

namespace resnext {
namespace {

CommandLine help(std::string text) {
  CommandLine line;
  line.action = Action::kHelp;
  line.help = std::move(text);
  return line;
}

// What the worker does besides training: one of these.
class Actions {
 public:
  Actions(CLI::App& app, CommandLine& line) : app_(app), line_(line) {}

  CLI::Option* flag(const char* name, Action action, const std::string& text) {
    return add(app_.add_flag(name, text), action);
  }
  template <typename Value>
  CLI::Option* option(const char* name, Action action, Value& value, const char* text) {
    return add(app_.add_option(name, value, text), action);
  }

  void choose() const {
    const CLI::Option* chosen = nullptr;
    for (const auto& [option, action] : actions_) {
      if (option->count() == 0) continue;
      if (chosen != nullptr) {
        throw ConfigError("command line",
                          fmt::format("{} and {} at once", chosen->get_name(), option->get_name()),
                          "ask for one of them");
      }
      chosen = option;
      line_.action = action;
    }
  }

 private:
  CLI::Option* add(CLI::Option* option, Action action) {
    actions_.emplace_back(option, action);
    return option->group("Instead of training");
  }

  CLI::App& app_;
  CommandLine& line_;
  std::vector<std::pair<CLI::Option*, Action>> actions_;
};

Actions add_actions(CLI::App& app, CommandLine& line) {
  Actions actions(app, line);
  CLI::Option* evaluate = actions.flag("--evaluate", Action::kEvaluate,
                                       "validation only, of the latest checkpoint or "
                                       "model.pretrained");
  const auto table = [&](const char* name, std::string& file, const char* text) {
    app.add_option(name, file, text)->type_name("FILE.csv")->needs(evaluate);
  };
  table("--per-class", line.per_class, "with --evaluate: accuracy of each class, as CSV");
  table("--confusion", line.confusion, "with --evaluate: which class was taken for which");
  actions
      .option("--classify", Action::kClassify, line.images,
              "name what is in these images or folders of them")
      ->type_name("PATH");
  actions
      .option("--features", Action::kFeatures, line.features,
              "write what the classifier sees of the validation split to an HDF5 file")
      ->type_name("FILE.h5");
  CLI::Option* exported =
      actions
          .option("--export", Action::kExport, line.export_file,
                  "write the network that --evaluate would take for other programs")
          ->type_name("FILE");
  app.add_flag("--force", line.force, "replace the files to write if they exist");
  app.add_flag("--fold-norm", line.fold_norm, "with --export FILE.onnx: BN within convolutions")
      ->needs(exported);
  actions.flag("--print-config", Action::kPrintConfig, "print the resolved configuration");
  CLI::Option* plan = actions.flag("--plan", Action::kPlan,
                                   "print sizes, memory and schedule without training, also "
                                   "without a data set");
  app.add_option(
         "--images", line.image_counts,
         "with --plan: images to train and validate with, as N,N; default: the data set's, or "
         "where there is none ImageNet's or CIFAR's")
      ->delimiter(',')
      ->expected(1, 2)
      ->allow_extra_args(false)
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->needs(plan);
  actions.flag("--all-reduce", Action::kAllReduce,
               "measure a sum over all ranks, of a configuration's comm.backend if one is named");
  return actions;
}

// KEY=VALUE behind `--classify PATH...` is an override, unless there is a file of this name.
void take_overrides_from_images(CommandLine& line) {
  const auto is_override = [](const std::string& word) {
    return find_run_key(word.substr(0, word.find('='))) != nullptr &&
           word.find('=') != std::string::npos && !std::filesystem::exists(word);
  };
  for (const std::string& word : line.images) {
    if (is_override(word)) line.overrides.push_back(word);
  }
  std::erase_if(line.images, is_override);
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CommandParser parser("resnext_worker",
                       "Trains a ResNeXt; start one process a GPU (or CPU slot) with mpirun or "
                       "srun.");
  CLI::App& app = parser.app();
  app.add_option("config", line.config, "run configuration (YAML)");
  app.add_option("overrides", line.overrides, "KEY=VALUE, e.g. optimizer.base_lr=0.2");
  app.add_flag("--json", line.json, "results of --evaluate, --classify and --all-reduce as JSON");
  app.add_flag("-q,--quiet", line.quiet, "warnings and errors only, and what was asked for");
  const Actions actions = add_actions(app, line);
  parser.complete_overrides_with(run_key_names());
  if (auto text = parser.parse(argc, argv)) return help(std::move(*text));
  actions.choose();
  take_overrides_from_images(line);
  if (line.config.empty() && line.action != Action::kAllReduce) {
    throw ConfigError("command line", "no configuration is named", "see resnext_worker --help");
  }
  return line;
}

}  // namespace resnext
