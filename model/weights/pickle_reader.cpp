// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/pickle_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "comm/common/error.h"
#include "model/weights/state_dict_dtype.h"

namespace resnext {
namespace {

constexpr uint8_t kHighestProtocol = 2;
constexpr uint8_t kStop = '.';
constexpr size_t kMaxDimensions = 64;  // what ATen's kernels take
constexpr size_t kMaxKeyLength = 255;  // keys are numbers of at most 20 digits

// Globals that mean something here besides the storages and dtypes of state_dict_dtype.h.
constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr std::string_view kSize = "torch Size";
constexpr std::string_view kDevice = "torch device";
constexpr std::string_view kRebuildTensor = "torch._utils _rebuild_tensor";
constexpr std::string_view kRebuildTensorV2 = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils _rebuild_parameter";
constexpr std::string_view kCallables[] = {
    kOrderedDict, kSize, kDevice, kRebuildTensor, kRebuildTensorV2, kRebuildParameter};

}  // namespace

PickleReader::PickleReader(std::string_view bytes, std::string where)
    : bytes_(bytes), where_(std::move(where)) {}

const PickleValue& PickleReader::read() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  storages_.clear();
  for (;;) {
    const auto opcode = number<uint8_t>();
    if (opcode == kStop) break;
    if (!read_literal(opcode) && !read_container(opcode) && !read_memo(opcode) &&
        !read_call(opcode)) {
      fail("has the pickle opcode " + std::to_string(opcode) + ", which torch.save does not emit");
    }
  }
  if (stack_.size() != 1 || !marks_.empty()) fail("has an unbalanced pickle");
  return *stack_.back();
}

// ---- opcodes, by group ----------------------------------------------------------------------

bool PickleReader::read_literal(uint8_t opcode) {
  switch (opcode) {
    case 'N':
      push(PickleNone{});
      break;
    case 0x88:
      push(true);
      break;
    case 0x89:
      push(false);
      break;
    case 'J':
      push(int64_t{number<int32_t>()});
      break;
    case 'K':
      push(int64_t{number<uint8_t>()});
      break;
    case 'M':
      push(int64_t{number<uint16_t>()});
      break;
    case 'G':
      push(std::bit_cast<double>(__builtin_bswap64(number<uint64_t>())));
      break;
    case 0x8a:
      read_long();
      break;
    case 'X':
    case 'T':
      push(std::string(take(number<uint32_t>())));
      break;
    case 'U':
      push(std::string(take(number<uint8_t>())));
      break;
    default:
      return false;
  }
  return true;
}

bool PickleReader::read_container(uint8_t opcode) {
  switch (opcode) {
    case '(':
      marks_.push_back(stack_.size());
      break;
    case ')':
      push(PickleTuple{});
      break;
    case ']':
      push(PickleList{});
      break;
    case '}':
      push(PickleDict{});
      break;
    case 't':
      push_tuple(pop_mark());
      break;
    case 0x85:
    case 0x86:
    case 0x87: {
      const size_t count = opcode - 0x84u;
      need(count);
      push_tuple(stack_.size() - count);
      break;
    }
    case 'a':
      need(2);
      append_items(stack_.size() - 1);
      break;
    case 'e':
      append_items(pop_mark());
      break;
    case 's':
      need(3);
      set_items(stack_.size() - 2);
      break;
    case 'u':
      set_items(pop_mark());
      break;
    default:
      return false;
  }
  return true;
}

bool PickleReader::read_memo(uint8_t opcode) {
  if (opcode == 'q' || opcode == 'r') {
    need(1);
    memo_[opcode == 'q' ? number<uint8_t>() : number<uint32_t>()] = stack_.back();
    return true;
  }
  if (opcode != 'h' && opcode != 'j') return false;
  const uint32_t index = opcode == 'h' ? number<uint8_t>() : number<uint32_t>();
  const auto found = memo_.find(index);
  if (found == memo_.end()) fail("refers to object " + std::to_string(index) + " before it exists");
  stack_.push_back(found->second);
  return true;
}

bool PickleReader::read_call(uint8_t opcode) {
  switch (opcode) {
    case 0x80:
      if (number<uint8_t>() > kHighestProtocol) fail("uses a pickle protocol above 2");
      break;
    case 'c':
      read_global();
      break;
    case 'R':
      reduce();
      break;
    case 'b':  // attributes, such as OrderedDict's _metadata: of no use here
      need(2);
      pop();
      expect<PickleDict>(*stack_.back(), "the target of BUILD");
      break;
    case 'Q':
      persistent_id();
      break;
    default:
      return false;
  }
  return true;
}

// ---- values ---------------------------------------------------------------------------------

void PickleReader::read_global() {
  const std::string_view module = line();
  const std::string name = std::string(module) + " " + std::string(line());
  const bool callable = std::ranges::find(kCallables, name) != std::end(kCallables);
  if (callable || storage_dtype(name)) return push(PickleGlobal{name});
  if (is_dtype_name(name)) return push(PickleOpaque{});
  std::string dotted = name;
  std::ranges::replace(dotted, ' ', '.');
  fail("asks for the Python object '" + dotted + "', which is not part of a state_dict of tensors");
}

void PickleReader::read_long() {
  const std::string_view digits = take(number<uint8_t>());  // little-endian two's complement
  if (digits.size() > sizeof(int64_t)) return push(PickleOpaque{});
  const bool negative = !digits.empty() && (static_cast<uint8_t>(digits.back()) & 0x80) != 0;
  int64_t value = negative ? -1 : 0;
  std::memcpy(&value, digits.data(), digits.size());
  push(value);
}

void PickleReader::append_items(size_t first) {
  if (first == 0) fail("appends to nothing");
  auto* list = std::get_if<PickleList>(&stack_[first - 1]->data);
  if (list == nullptr) fail("appends to an object that is not a list");
  list->items.insert(list->items.end(), stack_.begin() + first, stack_.end());
  stack_.resize(first);
}

void PickleReader::set_items(size_t first) {
  if (first == 0 || (stack_.size() - first) % 2 != 0) fail("sets an item without key or value");
  auto* dict = std::get_if<PickleDict>(&stack_[first - 1]->data);
  if (dict == nullptr) fail("sets items of an object that is not a dict");
  for (size_t i = first; i < stack_.size(); i += 2) {
    dict->items.emplace_back(stack_[i], stack_[i + 1]);
  }
  stack_.resize(first);
}

void PickleReader::persistent_id() {
  const auto& id = expect<PickleTuple>(pop(), "a persistent id").items;
  if (expect<std::string>(argument(id, 0), "a persistent id's kind") != "storage") {
    fail("has a persistent id that is not a storage");
  }
  const auto& type = expect<PickleGlobal>(argument(id, 1), "a storage's type");
  const auto dtype = storage_dtype(type.name);
  if (!dtype) fail("has a storage of type '" + type.name + "'");
  PickleStorage storage{expect<std::string>(argument(id, 2), "a storage's key"), *dtype,
                        expect<int64_t>(argument(id, 4), "a storage's size")};
  if (storage.numel < 0) fail("has a storage of negative size");
  if (storage.key.size() > kMaxKeyLength) fail("has a storage with a very long key");
  if (id.size() > 5 && id[5]->get_if<PickleNone>() == nullptr) {
    fail("has views of storages, as only PyTorch before 0.4 wrote");
  }
  const auto& known = storages_.try_emplace(storage.key, storage).first->second;
  if (known.dtype != storage.dtype || known.numel != storage.numel) {
    fail("describes the storage '" + storage.key + "' in two ways");
  }
  push(std::move(storage));
}

void PickleReader::reduce() {
  need(2);
  const PickleItems& arguments = expect<PickleTuple>(pop(), "the arguments of a call").items;
  const std::string& name = expect<PickleGlobal>(pop(), "the target of a call").name;
  if (name == kOrderedDict) {
    ordered_dict(arguments);
  } else if (name == kSize) {
    PickleValue& sizes = argument(arguments, 0);
    expect<PickleTuple>(sizes, "the argument of torch.Size");
    stack_.push_back(&sizes);
  } else if (name == kDevice) {
    push(PickleOpaque{});
  } else if (name == kRebuildTensor || name == kRebuildTensorV2) {
    rebuild_tensor(arguments);
  } else if (name == kRebuildParameter) {
    PickleValue& tensor = argument(arguments, 0);
    expect<PickleTensor>(tensor, "the tensor of a parameter");
    stack_.push_back(&tensor);
  } else {
    fail("calls '" + name + "'");
  }
}

void PickleReader::ordered_dict(const PickleItems& arguments) {
  PickleDict dict;
  if (!arguments.empty()) {  // Python 2 passes a list of [key, value] lists
    const auto& list = expect<PickleList>(*arguments[0], "an OrderedDict").items;
    charge(list.size());
    for (const PickleValue* item : list) {
      const auto& pair = expect<PickleList>(*item, "an item of an OrderedDict").items;
      dict.items.emplace_back(&argument(pair, 0), &argument(pair, 1));
    }
  }
  push(std::move(dict));
}

void PickleReader::rebuild_tensor(const PickleItems& arguments) {
  push(PickleTensor{expect<PickleStorage>(argument(arguments, 0), "the storage of a tensor"),
                    expect<int64_t>(argument(arguments, 1), "the offset of a tensor"),
                    integers(argument(arguments, 2)), integers(argument(arguments, 3))});
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

// ---- bytes and stack ------------------------------------------------------------------------

template <typename T>
T PickleReader::number() {
  T value;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

std::string_view PickleReader::take(size_t count) {
  if (count > bytes_.size() - position_) fail("has a pickle that ends early");
  const std::string_view taken = bytes_.substr(position_, count);
  position_ += count;
  return taken;
}

std::string_view PickleReader::line() {
  const size_t end = bytes_.find('\n', position_);
  if (end == std::string_view::npos) fail("has a pickle that ends early");
  const std::string_view text = take(end - position_);
  ++position_;
  return text;
}

template <typename T>
void PickleReader::push(T data) {
  charge(1);
  stack_.push_back(&objects_.emplace_back(PickleValue{std::move(data)}));
}

void PickleReader::charge(size_t objects) {
  charged_ += objects;
  if (charged_ > kMaxObjects) fail("has more than " + std::to_string(kMaxObjects) + " objects");
}

void PickleReader::push_tuple(size_t first) {
  PickleTuple tuple{{stack_.begin() + first, stack_.end()}};
  stack_.resize(first);
  push(std::move(tuple));
}

PickleValue& PickleReader::pop() {
  need(1);
  PickleValue& top = *stack_.back();
  stack_.pop_back();
  return top;
}

size_t PickleReader::pop_mark() {
  if (marks_.empty()) fail("closes a container that was not opened");
  const size_t first = marks_.back();
  marks_.pop_back();
  if (first > stack_.size()) fail("closes a container that was not opened");
  return first;
}

void PickleReader::need(size_t count) const {
  if (stack_.size() < count + (marks_.empty() ? 0 : marks_.back()))
    fail("has an unbalanced pickle");
}

template <typename T>
const T& PickleReader::expect(const PickleValue& value, std::string_view what) const {
  const T* data = value.get_if<T>();
  if (data == nullptr) fail("has a wrong type for " + std::string(what));
  return *data;
}

PickleValue& PickleReader::argument(const PickleItems& arguments, size_t index) const {
  if (index >= arguments.size()) fail("has a call with too few arguments");
  return *arguments[index];
}

void PickleReader::fail(const std::string& what) const {
  throw CheckpointError(where_, what + " (pickle byte " + std::to_string(position_) + ")",
                        "use a complete file written by torch.save(model.state_dict(), ...)");
}

}  // namespace resnext
