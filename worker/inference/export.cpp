// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/export.h"

#include <nlohmann/json.hpp>

#include "model/export/network_export.h"
#include "worker/inference/saved_network.h"
#include "worker/network_learner.h"
#include "worker/state/agreement.h"

namespace resnext {
namespace {

int64_t classes_of(const StateDict& state, int64_t otherwise) {
  for (const auto& [name, tensor] : state) {
    if (name == "fc.weight" && tensor.dim() == 2) return tensor.size(0);
  }
  return otherwise;
}

// What a user of the network must do to images, and what its answers mean.
std::vector<std::pair<std::string, std::string>> notes_of(const DataRecord& data) {
  const auto text = [](const auto& values) { return nlohmann::json(values).dump(); };
  return {
      {"mean", text(data.mean)}, {"std", text(data.std)}, {"class_names", text(data.class_names)}};
}

}  // namespace

void export_saved(const CommandLine& line, RunConfig config, Communicator& communicator) {
  check_export(line.export_file, config.model, line.fold_norm);
  const StartPoint start = find_weights(line, config, communicator);
  if (start.data) follow_checkpoint(line, *start.data, config);
  on_rank_0(communicator, [&] {
    const NamedWeights weights =
        read_weights(config.model, start.state ? &*start.state : nullptr, chosen_weights(config));
    config.model.classes = classes_of(weights.state, config.model.classes);
    ResNeXt model(config.model, config.run.seed);
    model.load(weights.state, weights.source);
    NetworkExport network{config.model, model.state_dict(), evaluation_size(config.data),
                          line.fold_norm};
    if (start.data) network.notes = notes_of(*start.data);
    export_network(network, line.export_file);
  });
}

}  // namespace resnext
