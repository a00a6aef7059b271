// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/saved_network.h"

#include <spdlog/fmt/fmt.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "comm/common/file_system.h"
#include "comm/tensor_collectives.h"
#include "configs/yaml_reader.h"
#include "data/container/container_writer.h"
#include "worker/state/agreement.h"
#include "worker/state/manifest.h"

namespace resnext {
namespace {

// On the command line; a configuration's are those that training starts from.
bool names_weights(const CommandLine& line) {
  return std::ranges::any_of(line.overrides, [](const std::string& text) {
    return text.starts_with("model.pretrained=");
  });
}

bool all_exist(const std::vector<std::string>& addresses) {
  return !addresses.empty() && std::ranges::all_of(addresses, [](const std::string& address) {
    return std::filesystem::exists(parse_data_address(address).file);
  });
}

// The weights' classes, as far as it is known what they are.
void take_classes(const StartPoint& start, const RunConfig& config, DataSets& sets) {
  if (start.data) {
    sets.adopt_classes(start.data->class_names, "the checkpoint", config.run.accept_new_data);
  } else if (all_exist(config.data.train)) {
    sets.remarks.push_back(
        fmt::format("the weights do not say what their classes are: taken as those of {}, in its "
                    "order",
                    name_some(config.data.train)));
    sets.adopt_classes(open_split(config.data, /*training=*/true).class_names(),
                       name_some(config.data.train), config.run.accept_new_data);
  } else {
    sets.remarks.push_back(fmt::format(
        "the weights do not say what their classes are: labels of {} are taken as numbers",
        name_some(config.data.validation)));
  }
}

// Of model.pretrained: what a save's own file was trained with, else nothing.
StartPoint named_weights(const RunConfig& config, Communicator& communicator) {
  if (config.model.reset_classifier) return {};
  const std::string text = decide(communicator, [&] {
    const auto data = data_of_weights(posix_files(), config.model.pretrained);
    return data ? to_json(*data).dump() : "";
  });
  StartPoint start;
  if (!text.empty()) start.data = to_data_record(nlohmann::ordered_json::parse(text));
  return start;
}

// Normalised as ImageNet is; classes without names.
DataRecord unknown_data() {
  const ContainerDescription usual;
  DataRecord data;
  data.mean = usual.mean;
  data.std = usual.std;
  return data;
}

}  // namespace

StartPoint find_weights(const CommandLine& line, const RunConfig& config,
                        Communicator& communicator) {
  if (names_weights(line)) return named_weights(config, communicator);
  std::optional<RunStore> store;
  if (communicator.rank() == 0) {
    store.emplace(posix_files(), config.run.output, config.checkpoint.keep);
  }
  StartPoint start = agree_on_weights(communicator, store ? &*store : nullptr, config.run);
  if (!start.resumed && config.model.pretrained.empty()) {
    throw ConfigError("run.output", "there is no checkpoint in " + config.run.output,
                      "train first, or set model.pretrained or run.resume to a file");
  }
  if (!start.resumed) start = named_weights(config, communicator);
  if (start.data && start.data->train.storage == kSynthetic) {
    throw ConfigError("run.output",
                      "the network in " + config.run.output +
                          " was trained on synthetic images, so it has learned nothing",
                      "name a run on real data, or weights by model.pretrained=FILE");
  }
  return start;
}

void follow_checkpoint(const CommandLine& line, const DataRecord& data, RunConfig& config) {
  const std::vector<std::string> named = named_keys(line.config, line.overrides);
  const auto is_named = [&](const char* key) { return std::ranges::binary_search(named, key); };
  if (!is_named("data.recipe")) config.data.recipe = data.recipe;
  if (!is_named("data.size")) config.data.size = data.size;
  if (!is_named("data.evaluation_size") && !is_named("data.size")) {
    config.data.evaluation_size = data.evaluation_size;
  }
  if (!is_named("data.resize")) config.data.resize = data.resize;
  if (config.model.classes == 0) config.model.classes = data.classes;
}

SavedWeights chosen_weights(const RunConfig& config) {
  return config.ema.evaluate ? SavedWeights::kAverage : SavedWeights::kTrained;
}

void check_ranks_agree(const RunConfig& config, const DataRecord& data,
                       Communicator& communicator) {
  check_agreement(communicator, {{"program", RESNEXT_VERSION " with LibTorch " TORCH_VERSION,
                                  ExitCode::kConfig, "install one version on all hosts"},
                                 {"configuration", to_yaml(config), ExitCode::kConfig,
                                  "give every rank the same file and overrides"},
                                 {"data", to_json(data).dump(1), ExitCode::kData,
                                  "give every host the same files"}});
}

SavedNetwork load_network(const CommandLine& line, RunConfig config, DataSets* sets,
                          Communicator& communicator, at::Device device) {
  const StartPoint start = find_weights(line, config, communicator);
  if (start.data) follow_checkpoint(line, *start.data, config);
  if (!start.resumed && config.model.reset_classifier && line.action != Action::kFeatures) {
    throw ConfigError(
        "model.reset_classifier",
        "leaves " + config.model.pretrained + " with a classifier that has learned nothing",
        "train with it first, or leave it out");
  }
  DataRecord data = start.data.value_or(unknown_data());
  if (sets != nullptr) {
    take_classes(start, config, *sets);
    log_remarks(*sets, communicator.rank());
    config.model.classes = sets->classes(config.model.classes);
    data = describe(*sets, config.data, config.model.classes);
  }
  if (start.data) {
    data.mean = start.data->mean;
    data.std = start.data->std;
  }
  check_ranks_agree(config, data, communicator);
  Precision precision(config.precision, device);
  ResNeXt model = make_model(config, start.state ? &*start.state : nullptr, communicator,
                             chosen_weights(config));
  model.to(device, precision.parameter_type(), precision.channels_last());
  broadcast_tensors(communicator, model.parameters());
  broadcast_tensors(communicator, model.statistics());
  return {std::move(config), std::move(data), device, precision, std::move(model)};
}

std::unique_ptr<BatchInput> validation_input(const SavedNetwork& network, const DataSets& sets,
                                             const Communicator& communicator) {
  return make_input(*sets.validation, network.data, network.config, network.precision,
                    resolve_batch(network.config.batch, communicator.size()), communicator,
                    network.device, /*training=*/false);
}

}  // namespace resnext
