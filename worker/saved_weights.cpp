// SPDX-License-Identifier: BSD-3-Clause
#include "worker/saved_weights.h"

#include <algorithm>
#include <optional>

#include "comm/common/error.h"
#include "comm/common/file_system.h"
#include "model/weights/weights_export.h"
#include "worker/network_learner.h"
#include "worker/state/agreement.h"

namespace resnext {
namespace {

// On the command line; a configuration's are those that training starts from.
bool names_weights(const CommandLine& line) {
  return std::ranges::any_of(line.overrides, [](const std::string& text) {
    return text.starts_with("model.pretrained=");
  });
}

int64_t classes_of(const StateDict& state, int64_t otherwise) {
  for (const auto& [name, tensor] : state) {
    if (name == "fc.weight" && tensor.dim() == 2) return tensor.size(0);
  }
  return otherwise;
}

}  // namespace

StartPoint find_saved_weights(const CommandLine& line, const RunConfig& config,
                              Communicator& communicator) {
  StartPoint start;
  if (names_weights(line)) return start;
  std::optional<RunStore> store;
  if (communicator.rank() == 0) {
    store.emplace(posix_files(), config.run.output, config.checkpoint.keep);
  }
  start = agree_on_weights(communicator, store ? &*store : nullptr, config.run);
  if (!start.resumed && config.model.pretrained.empty()) {
    throw ConfigError("run.output", "there is no checkpoint in " + config.run.output,
                      "train first, or set model.pretrained or run.resume to a file");
  }
  return start;
}

void export_saved(const CommandLine& line, RunConfig config, Communicator& communicator) {
  check_export_name(line.export_file);
  const StartPoint start = find_saved_weights(line, config, communicator);
  on_rank_0(communicator, [&] {
    const NamedWeights weights = read_weights(config.model, start.state ? &*start.state : nullptr);
    config.model.classes = classes_of(weights.state, config.model.classes);
    ResNeXt model(config.model, config.run.seed);
    model.load(weights.state, weights.source);
    export_weights(model.state_dict(), line.export_file);
  });
}

}  // namespace resnext
