// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/use_network.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "comm/common/error.h"
#include "comm/watch/watch.h"
#include "worker/inference/classification.h"
#include "worker/inference/evaluation.h"
#include "worker/inference/export.h"
#include "worker/inference/features.h"
#include "worker/state/agreement.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

// Before the work: it shall neither be in vain nor replace what is dear.
void check_output(const std::string& path, bool force) {
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty() && !fs::is_directory(folder)) {
    throw OutputError(path, "its folder is not there", "make it, or name another");
  }
  if (!fs::exists(path)) return;
  if (!fs::is_regular_file(path)) {
    throw ConfigError(path, "is there and is no file", "name a file to write");
  }
  if (force) return;
  throw ConfigError(path, "exists already", "give another name, or --force to replace it");
}

void check_outputs(const CommandLine& line) {
  for (const std::string& path :
       {line.features, line.export_file, line.per_class, line.confusion}) {
    if (!path.empty()) check_output(path, line.force);
  }
  if (!line.confusion.empty() && line.confusion == line.per_class) {
    throw ConfigError(line.confusion, "is to be written twice",
                      "give each table a file of its own");
  }
}

ExitCode print_classes(const CommandLine& line, const SavedNetwork& network,
                       const std::vector<std::string>& files, Communicator& communicator) {
  const std::vector<Classified> found = classify(network, files, communicator);
  for (size_t i = 0; i < files.size() && communicator.rank() == 0; ++i) {
    std::fputs(to_line(files[i], found[i], network.data.class_names, line.json).c_str(), stdout);
  }
  return std::ranges::any_of(found, &Classified::damaged) ? ExitCode::kData : ExitCode::kOk;
}

ExitCode print_accuracy(const CommandLine& line, SavedNetwork& network, const DataSets& sets,
                        Communicator& communicator) {
  const auto text = evaluate_saved(line, network, sets, communicator);
  if (!text) return ExitCode::kStopped;
  if (communicator.rank() == 0) std::fputs(text->c_str(), stdout);
  return ExitCode::kOk;
}

}  // namespace

bool uses_network(Action action) {
  return action == Action::kEvaluate || action == Action::kClassify ||
         action == Action::kFeatures || action == Action::kExport;
}

ExitCode use_network(const CommandLine& line, const RunConfig& config, DataSets* sets,
                     Communicator& communicator, const ComputeDevice& device) {
  return watch::guard([&] {
    on_rank_0(communicator, [&] { check_outputs(line); });
    if (line.action == Action::kExport) {
      export_saved(line, config, communicator);
      return ExitCode::kOk;
    }
    const std::vector<std::string> files = image_files(line.images, communicator.rank());
    SavedNetwork network = load_network(line, config, sets, communicator, device.torch());
    switch (line.action) {
      case Action::kClassify:
        return print_classes(line, network, files, communicator);
      case Action::kFeatures:
        return write_features(network, *sets, line.features, communicator) ? ExitCode::kOk
                                                                           : ExitCode::kStopped;
      default:
        return print_accuracy(line, network, *sets, communicator);
    }
  });
}

}  // namespace resnext
