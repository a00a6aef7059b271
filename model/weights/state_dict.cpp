// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/state_dict.h"

#include <ATen/ops/empty.h>
#include <c10/core/Storage.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "comm/common/error.h"
#include "model/weights/state_dict_source.h"
#include "model/weights/weights_choice.h"
#include "model/weights/weights_names.h"

namespace resnext {
namespace {

constexpr size_t kMaxTensors = 65536;  // ResNet-152 has 932

// Makes tensors from their descriptions; tensors of one storage share it.
class TensorLoader {
 public:
  TensorLoader(const StateDictSource& source, const std::string& path)
      : source_(source), path_(path) {}

  at::Tensor load(const std::string& name, const PickleTensor& description) {
    check_view(name, description);
    const PickleStorage& storage = *description.storage;
    const auto& options = at::TensorOptions().dtype(storage.dtype);
    return at::empty({0}, options)
        .set_(owner(storage), description.offset, description.sizes, description.strides);
  }

 private:
  c10::Storage owner(const PickleStorage& description) {
    const auto known = storages_.find(description.key);
    if (known != storages_.end()) return known->second;
    source_.check_storage(description);
    const auto bytes = static_cast<int64_t>(storage_bytes(description));
    at::Tensor values = at::empty({bytes}, at::TensorOptions().dtype(at::kByte));
    source_.read_storage(description, values.mutable_data_ptr());
    return storages_.emplace(description.key, values.storage()).first->second;
  }

  // Every element lies inside the storage, and there are not more elements than it has.
  void check_view(const std::string& name, const PickleTensor& view) const {
    const int64_t limit = view.storage->numel;
    bool valid = view.sizes.size() == view.strides.size() && view.offset >= 0;
    const bool empty = std::ranges::count(view.sizes, 0) > 0;
    int64_t numel = 1, last = view.offset;
    for (size_t i = 0; valid && i < view.sizes.size(); ++i) {
      const int64_t size = view.sizes[i], stride = view.strides[i];
      valid = size >= 0 && stride >= 0 &&
              !__builtin_mul_overflow(numel, std::max<int64_t>(size, 1), &numel);
      int64_t reach = 0;
      valid = valid && !__builtin_mul_overflow(std::max<int64_t>(size - 1, 0), stride, &reach) &&
              !__builtin_add_overflow(last, reach, &last);
    }
    if (valid && (empty ? view.offset <= limit : last < limit && numel <= limit)) return;
    throw CheckpointError(path_ + ", tensor '" + readable(name) + "'",
                          "its shape and strides do not fit its storage",
                          "the file is corrupt: write it again");
  }

  const StateDictSource& source_;
  const std::string& path_;
  std::unordered_map<std::string, c10::Storage> storages_;
};

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
    const auto* tensor = value->get_if<const PickleTensor*>();
    if (name == nullptr || tensor == nullptr) continue;  // epoch counters and the like
    if (state.size() == kMaxTensors) {
      throw CheckpointError(path, "holds more than 65536 tensors", "name a file of weights");
    }
    state.emplace_back(*name, loader.load(std::string(*name), **tensor));
  }
  return state;
}

}  // namespace

StateDict load_state_dict(const std::string& path, const std::string& key) {
  const auto source = open_state_dict(WeightsInput(path));
  return with_our_names(load_dict(choose_weights(source->root(), key, path), *source, path), path);
}

StateDict parse_state_dict(std::string bytes, const std::string& name) {
  const auto source = open_state_dict(WeightsInput(name, std::move(bytes)));
  return load_dict(only_dict(source->root(), name), *source, name);
}

}  // namespace resnext
