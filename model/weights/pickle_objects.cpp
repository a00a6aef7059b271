// Second half of pickle_reader.h: what globals, calls and persistent ids mean.
// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "comm/common/error.h"
#include "model/weights/pickle_reader.h"
#include "model/weights/state_dict_dtype.h"

namespace resnext {
namespace {

constexpr size_t kMaxDimensions = 64;  // what ATen's kernels take
constexpr size_t kMaxKeyLength = 255;  // keys are numbers of at most 20 digits
constexpr uint64_t kStorageBytes = sizeof(SavedStorage) + kMaxKeyLength + 64;

constexpr std::string_view kUtils = "torch._utils";

// The dtype of a storage's class; classes of cuda tensors have the same names in torch.cuda.
std::optional<c10::ScalarType> dtype_of(const PickleGlobal& global) {
  if (global.module != "torch" && global.module != "torch.cuda") return std::nullopt;
  return storage_dtype("torch " + std::string(global.name.substr(0, kMaxKeyLength)));
}

bool rebuilds_tensor(const PickleGlobal& global) {
  return global.is(kUtils, "_rebuild_tensor") || global.is(kUtils, "_rebuild_tensor_v2");
}

bool rebuilds_parameter(const PickleGlobal& global) {
  return global.is(kUtils, "_rebuild_parameter") ||
         global.is(kUtils, "_rebuild_parameter_with_state");
}

// A subclass of Tensor: (function, class, arguments of the function, attributes).
bool rebuilds_subclass(const PickleGlobal& global) {
  return global.is("torch._tensor", "_rebuild_from_type_v2");
}

}  // namespace

void PickleReader::reduce() {
  need(2);
  const PickleItems& arguments = expect<PickleTuple>(pop(), "the arguments of a call").items;
  const PickleValue* target = &pop();
  const auto* global = target->get_if<PickleGlobal>();
  if (global == nullptr || !rebuilds_subclass(*global)) return call(*target, arguments);
  call(argument(arguments, 0),
       expect<PickleTuple>(argument(arguments, 2), "the arguments of a call").items);
}

void PickleReader::call(const PickleValue& target, const PickleItems& arguments) {
  const auto* global = target.get_if<PickleGlobal>();
  if (global == nullptr) return push_opaque(&target);
  if (global->is("collections", "OrderedDict")) return ordered_dict(arguments);
  if (rebuilds_tensor(*global)) return rebuild_tensor(arguments);
  if (global->is("torch", "Size")) {
    PickleValue& sizes = argument(arguments, 0);
    expect<PickleTuple>(sizes, "the argument of torch.Size");
    return push_shared(sizes);
  }
  if (rebuilds_parameter(*global)) return push_shared(argument(arguments, 0));
  push_opaque(&target);
}

// Of a class with its `arguments`, which are of no use.
void PickleReader::make_object(size_t arguments) {
  need(arguments + 1);
  drop(stack_.size() - arguments);
  const PickleValue& type = pop();
  const auto* global = type.get_if<PickleGlobal>();
  if (global != nullptr && global->is("collections", "OrderedDict")) return push(PickleDict{});
  push_opaque(&type);
}

// Attributes, such as OrderedDict's _metadata: of no use.
void PickleReader::build() {
  need(2);
  pop();
}

void PickleReader::push_opaque(const PickleValue* target) {
  const auto* object = target->get_if<PickleOpaque>();
  push(PickleOpaque{object != nullptr ? object->kind : target->get_if<PickleGlobal>()});
}

void PickleReader::persistent_id() {
  const PickleValue& value = pop();
  const auto& id = expect<PickleTuple>(value, "a persistent id").items;
  if (expect<std::string_view>(argument(id, 0), "a persistent id's kind") != "storage") {
    return push(PickleOpaque{});  // the source of a module
  }
  const auto dtype = dtype_of(expect<PickleGlobal>(argument(id, 1), "a storage's type"));
  if (!dtype) return push_opaque(&argument(id, 1));
  const auto& key = expect<std::string_view>(argument(id, 2), "a storage's key");
  const int64_t numel = expect<int64_t>(argument(id, 4), "a storage's size");
  if (numel < 0) fail("has a storage of negative size");
  if (key.size() > kMaxKeyLength) fail("has a storage with a very long key");
  if (id.size() > 5 && id[5]->get_if<PickleNone>() == nullptr) {
    fail("has views of storages, as only PyTorch before 0.4 wrote");
  }
  const auto [known, is_new] =
      storages_.try_emplace(key, SavedStorage{std::string(key), *dtype, numel});
  if (is_new) charge(kStorageBytes);
  if (known->second.dtype != *dtype || known->second.numel != numel) {
    fail("describes the storage '" + std::string(key) + "' in two ways");
  }
  push<const SavedStorage*>(&known->second);
}

void PickleReader::ordered_dict(const PickleItems& arguments) {
  PickleDict dict;
  if (!arguments.empty()) {  // Python 2 passes a list of [key, value] lists
    const auto& list = expect<PickleList>(*arguments[0], "an OrderedDict").items;
    charge(list.size() * sizeof(dict.items[0]));
    for (const PickleValue* item : list) {
      const auto& pair = expect<PickleList>(*item, "an item of an OrderedDict").items;
      dict.items.emplace_back(&argument(pair, 0), &argument(pair, 1));
    }
  }
  push(std::move(dict));
}

void PickleReader::rebuild_tensor(const PickleItems& arguments) {
  const PickleValue& storage = argument(arguments, 0);
  if (storage.get_if<PickleOpaque>() != nullptr) return push_opaque(&storage);
  SavedTensor tensor{expect<const SavedStorage*>(storage, "the storage of a tensor"),
                     expect<int64_t>(argument(arguments, 1), "the offset of a tensor"),
                     integers(argument(arguments, 2)), integers(argument(arguments, 3))};
  charge(sizeof tensor + sizeof(int64_t) * (tensor.sizes.size() + tensor.strides.size()));
  push<const SavedTensor*>(&tensors_.emplace_back(std::move(tensor)));
}

std::vector<int64_t> PickleReader::integers(const PickleValue& value) const {
  const auto& items = expect<PickleTuple>(value, "a tensor's shape").items;
  if (items.size() > kMaxDimensions) fail("has a tensor of too many dimensions");
  std::vector<int64_t> numbers;
  for (const PickleValue* item : items) {
    numbers.push_back(expect<int64_t>(*item, "a tensor's size or stride"));
  }
  return numbers;
}

PickleValue& PickleReader::argument(const PickleItems& arguments, size_t index) const {
  if (index >= arguments.size()) fail("has a call with too few arguments");
  return *arguments[index];
}

}  // namespace resnext
