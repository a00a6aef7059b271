// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/use_network.h"

#include <algorithm>
#include <cstdio>

#include "comm/watch/watch.h"
#include "worker/inference/classification.h"
#include "worker/inference/evaluation.h"
#include "worker/inference/export.h"
#include "worker/inference/features.h"

namespace resnext {
namespace {

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
    if (line.action == Action::kExport) {
      export_saved(line, config, communicator);
      return ExitCode::kOk;
    }
    const std::vector<std::string> files = image_files(line.images);
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
