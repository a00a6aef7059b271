// SPDX-License-Identifier: BSD-3-Clause
#include "worker/evaluation.h"

#include <spdlog/fmt/fmt.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"
#include "configs/yaml_reader.h"
#include "worker/evaluator.h"
#include "worker/network_learner.h"
#include "worker/saved_weights.h"
#include "worker/state/agreement.h"
#include "worker/stop_signal.h"

namespace resnext {
namespace {

// What the checkpoint was trained with counts, but for what the user names.
void follow_checkpoint(const CommandLine& line, const DataRecord& data, RunConfig& config) {
  const std::vector<std::string> named = named_keys(line.config, line.overrides);
  const auto is_named = [&](const char* key) { return std::ranges::binary_search(named, key); };
  if (!is_named("data.recipe")) config.data.recipe = data.recipe;
  if (!is_named("data.size")) config.data.size = data.size;
  if (!is_named("data.resize")) config.data.resize = data.resize;
  if (config.model.classes == 0) config.model.classes = data.classes;
}

void check_class_names(const RunConfig& config, const DataRecord& trained, const DataRecord& now) {
  DataRecord renamed = trained;
  renamed.class_names = now.class_names;
  const std::string changed = difference(trained, renamed);
  if (changed.empty() || config.run.accept_new_data) return;
  throw DataError(config.data.validation,
                  "its classes are not those that the checkpoint was trained with: " + changed,
                  "pack it with the same classes, or set run.accept_new_data=true");
}

}  // namespace

void check_ranks_agree(const RunConfig& config, const DataRecord& data,
                       Communicator& communicator) {
  check_agreement(communicator, {{"program", RESNEXT_VERSION " with LibTorch " TORCH_VERSION,
                                  ExitCode::kConfig, "install one version on all hosts"},
                                 {"configuration", to_yaml(config), ExitCode::kConfig,
                                  "give every rank the same file and overrides"},
                                 {"data", to_json(data).dump(1), ExitCode::kData,
                                  "give every host the same files"}});
}

std::optional<Accuracy> evaluate_saved(const CommandLine& line, RunConfig config,
                                       const DataSets& sets, Communicator& communicator,
                                       c10::Device device) {
  const StartPoint start = find_saved_weights(line, config, communicator);
  if (start.data) follow_checkpoint(line, *start.data, config);
  config.model.classes = sets.classes(config.model.classes);
  DataRecord data = describe(sets, config.data, config.model.classes);
  if (start.data) {
    check_class_names(config, *start.data, data);
    data.mean = start.data->mean;
    data.std = start.data->std;
  }
  check_ranks_agree(config, data, communicator);
  const Precision precision(config.precision, device);
  ResNeXt model = make_model(config, start.state ? &*start.state : nullptr, communicator);
  model.to(device, precision.parameter_type(), precision.channels_last());
  broadcast_tensors(communicator, model.parameters());
  broadcast_tensors(communicator, model.statistics());
  const auto input =
      make_input(*sets.validation, data, config, precision,
                 resolve_batch(config.batch, communicator.size()), communicator, device,
                 /*training=*/false);
  return evaluate(model, precision, *input, communicator, device, stop_signalled);
}

}  // namespace resnext
