// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/state_dict.h"

#include <ATen/ops/empty.h>
#include <c10/core/Storage.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "comm/common/error.h"
#include "model/weights/pickle_reader.h"
#include "model/weights/state_dict_source.h"

namespace resnext {
namespace {

constexpr int kMaxNesting = 4;  // {"model": {"state_dict": ...}} is 2
constexpr std::string_view kParallelPrefix = "module.";

const PickleValue* find_item(const PickleDict& dict, std::string_view name) {
  for (const auto& [key, value] : dict.items) {
    const auto* text = key->get_if<std::string>();
    if (text != nullptr && *text == name) return value;
  }
  return nullptr;
}

// The dict of tensors inside {"state_dict": ...} or {"model": ...}, or the dict itself.
const PickleDict* unwrap(const PickleValue& root) {
  const auto* dict = root.get_if<PickleDict>();
  for (int depth = 0; dict != nullptr && depth < kMaxNesting; ++depth) {
    const PickleDict* inner = nullptr;
    for (const char* name : {"state_dict", "model"}) {
      const PickleValue* value = find_item(*dict, name);
      if (inner == nullptr && value != nullptr) inner = value->get_if<PickleDict>();
    }
    if (inner == nullptr) break;
    dict = inner;
  }
  return dict;
}

// Makes tensors from their descriptions; tensors of one storage share it.
class TensorLoader {
 public:
  TensorLoader(const StateDictSource& source, const std::string& path)
      : source_(source), path_(path) {}

  at::Tensor load(const std::string& name, const PickleTensor& description) {
    check_view(name, description);
    const auto& options = at::TensorOptions().dtype(description.storage.dtype);
    return at::empty({0}, options)
        .set_(storage(description.storage), description.offset, description.sizes,
              description.strides);
  }

 private:
  c10::Storage storage(const PickleStorage& description) {
    const auto known = storages_.find(description.key);
    if (known != storages_.end()) return known->second;
    source_.check_storage(description);
    const auto bytes = static_cast<int64_t>(storage_bytes(description));
    at::Tensor owner = at::empty({bytes}, at::TensorOptions().dtype(at::kByte));
    source_.read_storage(description, owner.mutable_data_ptr());
    return storages_.emplace(description.key, owner.storage()).first->second;
  }

  // Every element lies inside the storage, and there are not more elements than it has.
  void check_view(const std::string& name, const PickleTensor& view) const {
    const int64_t limit = view.storage.numel;
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
    throw CheckpointError(path_ + ", tensor '" + name + "'",
                          "its shape and strides do not fit its storage",
                          "the file is corrupt: write it again");
  }

  const StateDictSource& source_;
  const std::string& path_;
  std::unordered_map<std::string, c10::Storage> storages_;
};

std::string without_prefix(std::string_view name) {
  if (name.starts_with(kParallelPrefix)) name.remove_prefix(kParallelPrefix.size());
  return std::string(name);
}

StateDict read_all(const StateDictSource& source, const std::string& path) {
  const PickleDict* dict = unwrap(source.root());
  if (dict == nullptr) {
    throw CheckpointError(
        path, "holds no dict of tensors",
        "save the state_dict, not the model: torch.save(model.state_dict(), ...)");
  }
  TensorLoader loader(source, path);
  StateDict state;
  std::unordered_set<std::string> names;
  for (const auto& [key, value] : dict->items) {
    const auto* text = key->get_if<std::string>();
    const auto* tensor = value->get_if<PickleTensor>();
    if (text == nullptr || tensor == nullptr) continue;  // epoch counters and the like
    std::string name = without_prefix(*text);
    if (!names.insert(name).second) {
      throw CheckpointError(path, "has two tensors '" + name + "'", "write the file again");
    }
    at::Tensor loaded = loader.load(name, *tensor);
    state.emplace_back(std::move(name), std::move(loaded));
  }
  if (state.empty()) {
    throw CheckpointError(path, "holds no tensors",
                          "save the state_dict itself: torch.save(model.state_dict(), ...)");
  }
  return state;
}

}  // namespace

StateDict load_state_dict(const std::string& path) {
  return read_all(*open_state_dict(StateDictInput(path)), path);
}

StateDict parse_state_dict(std::string bytes, const std::string& name) {
  return read_all(*open_state_dict(StateDictInput(name, std::move(bytes))), name);
}

}  // namespace resnext
