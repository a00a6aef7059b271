// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/export.h"

#include "model/weights/weights_export.h"
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

}  // namespace

void export_saved(const CommandLine& line, RunConfig config, Communicator& communicator) {
  check_export_name(line.export_file);
  const StartPoint start = find_weights(line, config, communicator);
  on_rank_0(communicator, [&] {
    const NamedWeights weights =
        read_weights(config.model, start.state ? &*start.state : nullptr, chosen_weights(config));
    config.model.classes = classes_of(weights.state, config.model.classes);
    ResNeXt model(config.model, config.run.seed);
    model.load(weights.state, weights.source);
    export_weights(model.state_dict(), line.export_file);
  });
}

}  // namespace resnext
