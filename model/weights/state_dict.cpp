// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/state_dict.h"

#include <string_view>

#include "comm/common/error.h"
#include "model/weights/read_weights.h"
#include "model/weights/safetensors.h"
#include "model/weights/state_dict_source.h"
#include "model/weights/t7_network.h"
#include "model/weights/weights_choice.h"
#include "model/weights/weights_names.h"

namespace resnext {
namespace {

// A file that we wrote: a dict of tensors, and nothing else.
const PickleDict& only_dict(const PickleValue& root, const std::string& path) {
  const auto* dict = root.get_if<PickleDict>();
  if (dict != nullptr) return *dict;
  throw CheckpointError(path, "holds no dict of tensors", "name a model.pt of a checkpoint");
}

StateDict load_dict(const PickleDict& dict, const StateDictSource& source,
                    const std::string& path) {
  TensorLoader loader(source, path);
  StateDict state;
  for (const auto& [key, value] : dict.items) {
    const auto* name = key->get_if<std::string_view>();
    const auto* tensor = value->get_if<const SavedTensor*>();
    if (name == nullptr || tensor == nullptr) continue;  // epoch counters and the like
    state.emplace_back(*name, loader.load(std::string(*name), **tensor));
  }
  return state;
}

}  // namespace

StateDict load_state_dict(const std::string& path, const std::string& key) {
  return read_weights(WeightsInput(path), key);
}

StateDict read_weights(WeightsInput input, const std::string& key) {
  const std::string path = input.path();
  if (is_t7(input)) return with_our_names(read_t7(input), path);
  if (is_safetensors(input)) return with_our_names(read_safetensors(input, key), path);
  const auto source = open_state_dict(std::move(input));
  return with_our_names(load_dict(choose_weights(source->root(), key, path), *source, path), path);
}

StateDict parse_state_dict(std::string bytes, const std::string& name) {
  const auto source = open_state_dict(WeightsInput(name, std::move(bytes)));
  return load_dict(only_dict(source->root(), name), *source, name);
}

}  // namespace resnext
