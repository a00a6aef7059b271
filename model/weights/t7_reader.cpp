// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/t7_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

namespace resnext {
namespace {

enum Tag : int32_t {
  kNil = 0,
  kNumber = 1,
  kString = 2,
  kTable = 3,
  kTorch = 4,
  kBoolean = 5,
  kPlainFunction = 6,
  kOlderFunction = 7,
  kFunction = 8,
};

constexpr uint64_t kWindowBytes = uint64_t{64} << 10;
constexpr int32_t kMaxDimensions = 64;
constexpr uint64_t kNodeBytes = 64;  // of a hash table

struct TypeName {
  std::string_view name;
  c10::ScalarType dtype;
};
// torch.FloatTensor, torch.FloatStorage; torch.CudaTensor is float.
constexpr std::array<TypeName, 15> kTypes = {{{"Float", c10::ScalarType::Float},
                                              {"Cuda", c10::ScalarType::Float},
                                              {"Double", c10::ScalarType::Double},
                                              {"CudaDouble", c10::ScalarType::Double},
                                              {"Half", c10::ScalarType::Half},
                                              {"CudaHalf", c10::ScalarType::Half},
                                              {"Long", c10::ScalarType::Long},
                                              {"CudaLong", c10::ScalarType::Long},
                                              {"Int", c10::ScalarType::Int},
                                              {"CudaInt", c10::ScalarType::Int},
                                              {"Short", c10::ScalarType::Short},
                                              {"CudaShort", c10::ScalarType::Short},
                                              {"Char", c10::ScalarType::Char},
                                              {"Byte", c10::ScalarType::Byte},
                                              {"CudaByte", c10::ScalarType::Byte}}};

// The dtype of "torch.TYPE" + ending; nothing for other classes.
std::optional<c10::ScalarType> dtype_of(std::string_view type, std::string_view ending) {
  constexpr std::string_view kTorchPrefix = "torch.";
  if (!type.starts_with(kTorchPrefix) || !type.ends_with(ending)) return std::nullopt;
  type.remove_prefix(kTorchPrefix.size());
  if (type.size() < ending.size()) return std::nullopt;
  type.remove_suffix(ending.size());
  const auto found = std::ranges::find(kTypes, type, &TypeName::name);
  if (found == kTypes.end()) return std::nullopt;
  return found->dtype;
}

}  // namespace

bool T7Reader::recognises(const WeightsInput& input) {
  int32_t head[2] = {0, 0};  // tag and index
  if (input.size() < sizeof head) return false;
  input.read(0, head, sizeof head);
  return (head[0] == kTable || head[0] == kTorch) && head[1] == 1;
}

T7Reader::T7Reader(const WeightsInput& input) : input_(input) {
  root_ = read();
}

void T7Reader::read_storage(const SavedStorage& storage, void* target) const {
  input_.read(storage_positions_.at(std::stoul(storage.key)), target, storage_bytes(storage));
}

const T7Value* T7Reader::read() {
  for (;;) {
    const T7Value* value = begin();
    while (value != nullptr) {
      if (frames_.empty()) return value;
      value = deliver(value);
    }
  }
}

// Reads an object's head. Null when parts of it follow.
const T7Value* T7Reader::begin() {
  switch (const auto tag = number<int32_t>(); tag) {
    case kNil:
      return &make({T7Nil{}});
    case kNumber:
      return &make({number<double>()});
    case kString:
      return &make({text()});
    case kBoolean:
      return &make({number<int32_t>() != 0});
    case kTable:
      return begin_table();
    case kTorch:
      return begin_class();
    case kPlainFunction:
      return begin_function(false);
    case kOlderFunction:
    case kFunction:
      return begin_function(true);
    default:
      input_.fail("is corrupt or no binary file of Torch7: an object of kind " +
                  std::to_string(tag));
  }
}

const T7Value* T7Reader::begin_table() {
  const auto index = number<int32_t>();
  if (const T7Value* value = known(index)) return value;
  T7Value& table = make({T7Table{}});
  remember(index, table);
  const auto count = number<int32_t>();
  if (count < 0) input_.fail("is corrupt: a table has a negative size");
  if (count == 0) return &table;
  push({.kind = Kind::kTable, .target = &table, .left = 2 * static_cast<uint64_t>(count)});
  return nullptr;
}

const T7Value* T7Reader::begin_class() {
  const auto index = number<int32_t>();
  if (const T7Value* value = known(index)) return value;
  std::string type = text();
  if (type.starts_with("V ")) type = text();  // else the file is older than versions
  if (const auto dtype = dtype_of(type, "Storage")) return storage(index, *dtype);
  if (dtype_of(type, "Tensor")) return begin_tensor(index);
  T7Value& object = make({T7Object{std::move(type), nullptr}});
  remember(index, object);
  push({.kind = Kind::kObject, .target = &object});
  return nullptr;
}

const T7Value* T7Reader::begin_function(bool indexed) {
  const int32_t index = indexed ? number<int32_t>() : 0;
  if (indexed) {
    if (const T7Value* value = known(index)) return value;
  }
  T7Value& function = make({T7Nil{}});
  if (indexed) remember(index, function);
  const auto size = number<int32_t>();
  if (size < 0) input_.fail("is corrupt: a function has a negative size");
  skip(static_cast<uint64_t>(size));
  push({.kind = Kind::kFunction, .target = &function});  // its upvalues follow
  return nullptr;
}

const T7Value* T7Reader::begin_tensor(int32_t index) {
  const auto dimensions = number<int32_t>();
  if (dimensions < 0 || dimensions > kMaxDimensions) {
    input_.fail("is corrupt: a tensor has " + std::to_string(dimensions) + " dimensions");
  }
  SavedTensor tensor{};
  for (int32_t i = 0; i < dimensions; ++i) tensor.sizes.push_back(number<int64_t>());
  for (int32_t i = 0; i < dimensions; ++i) tensor.strides.push_back(number<int64_t>());
  const auto offset = number<int64_t>();  // from 1
  if (offset < 1) input_.fail("is corrupt: a tensor begins before its storage");
  tensor.offset = offset - 1;
  charge(2 * sizeof(int64_t) * tensor.sizes.size());
  T7Value& value = make({static_cast<const SavedTensor*>(nullptr)});
  remember(index, value);
  push({.kind = Kind::kTensor, .target = &value, .tensor = std::move(tensor)});
  return nullptr;
}

const T7Value* T7Reader::storage(int32_t index, c10::ScalarType dtype) {
  const auto numel = number<int64_t>();
  if (numel < 0) input_.fail("is corrupt: a storage has a negative size");
  charge(sizeof(SavedStorage) + sizeof(uint64_t));
  SavedStorage& saved =
      storages_.emplace_back(SavedStorage{std::to_string(storages_.size()), dtype, numel});
  storage_positions_.push_back(position_);
  skip(storage_bytes(saved));
  const T7Value& value = make({static_cast<const SavedStorage*>(&saved)});
  remember(index, value);
  return &value;
}

// Gives the innermost open object its next part. Returns it when it is complete.
const T7Value* T7Reader::deliver(const T7Value* part) {
  Frame& frame = frames_.back();
  T7Value* target = frame.target;
  switch (frame.kind) {
    case Kind::kTable:
      if (frame.key == nullptr) {
        frame.key = part;
      } else {
        charge(4 * sizeof part);
        std::get<T7Table>(target->data).items.emplace_back(std::exchange(frame.key, nullptr), part);
      }
      break;
    case Kind::kObject:
      std::get<T7Object>(target->data).content = part;
      break;
    case Kind::kTensor:
      target->data = finish_tensor(frame, *part);
      break;
    case Kind::kFunction:
      break;
  }
  if (--frame.left > 0) return nullptr;
  frames_.pop_back();
  return target;
}

const SavedTensor* T7Reader::finish_tensor(Frame& frame, const T7Value& storage) {
  const auto* saved = storage.get_if<const SavedStorage*>();
  if (saved == nullptr) {
    if (storage.get_if<T7Nil>() == nullptr) input_.fail("is corrupt: a tensor without a storage");
    // An empty tensor.
    storages_.push_back({std::to_string(storages_.size()), c10::ScalarType::Float, 0});
    storage_positions_.push_back(0);
  }
  frame.tensor.storage = saved != nullptr ? *saved : &storages_.back();
  charge(sizeof(SavedTensor) + sizeof(SavedStorage));
  return &tensors_.emplace_back(std::move(frame.tensor));
}

const T7Value* T7Reader::known(int32_t index) const {
  const auto found = known_.find(index);
  return found == known_.end() ? nullptr : found->second;
}

template <typename T>
T T7Reader::number() {
  T value;
  if (position_ < window_begin_ || position_ + sizeof value > window_begin_ + window_.size()) {
    window_begin_ = std::min(position_, input_.size());
    window_ = input_.read(window_begin_, std::min(kWindowBytes, input_.size() - window_begin_));
    if (window_.size() < sizeof value) input_.fail("is truncated");
  }
  std::memcpy(&value, window_.data() + (position_ - window_begin_), sizeof value);
  position_ += sizeof value;
  return value;
}

std::string T7Reader::text() {
  const auto length = number<int32_t>();
  if (length < 0) input_.fail("is corrupt: a text has a negative size");
  charge(static_cast<uint64_t>(length));
  std::string bytes = input_.read(position_, static_cast<uint64_t>(length));
  position_ += bytes.size();
  return bytes;
}

void T7Reader::skip(uint64_t bytes) {
  if (bytes > input_.size() - position_) input_.fail("is truncated");
  position_ += bytes;
}

T7Value& T7Reader::make(T7Value value) {
  charge(sizeof value);
  return values_.emplace_back(std::move(value));
}

void T7Reader::remember(int32_t index, const T7Value& value) {
  charge(kNodeBytes);
  known_[index] = &value;
}

void T7Reader::push(Frame frame) {
  charge(2 * sizeof frame);
  frames_.push_back(std::move(frame));
}

void T7Reader::charge(uint64_t bytes) {
  charged_ += bytes;
  if (charged_ > (uint64_t{16} << 20) + 4 * input_.size()) {
    input_.fail("holds more objects than a file of its size should");
  }
}

}  // namespace resnext
