// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/pickle_reader.h"

#include <bit>
#include <cstring>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr uint8_t kHighestProtocol = 5;
constexpr uint8_t kStop = '.';

// What things take besides their own size, generously: a place in a vector that has just grown, a
// node of a hash table.
constexpr uint64_t kPlaceBytes = 16;
constexpr uint64_t kNodeBytes = 64;

}  // namespace

PickleReader::PickleReader(std::string_view bytes, std::string where, uint64_t budget)
    : bytes_(bytes), where_(std::move(where)), budget_(budget) {}

const PickleValue& PickleReader::read() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  for (;;) {
    const auto opcode = number<uint8_t>();
    if (opcode == kStop) break;
    if (!read_number(opcode) && !read_text(opcode) && !read_container(opcode) &&
        !read_items(opcode) && !read_memo(opcode) && !read_stack(opcode) && !read_object(opcode)) {
      fail("has the pickle opcode " + std::to_string(opcode) +
           ", which protocols 2 to 5 do not emit");
    }
  }
  if (stack_.size() != 1 || !marks_.empty()) fail("has an unbalanced pickle");
  return *stack_.back();
}

// ---- opcodes, by group ----------------------------------------------------------------------

bool PickleReader::read_number(uint8_t opcode) {
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
      read_long(number<uint8_t>());
      break;
    case 0x8b:
      read_long(number<uint32_t>());
      break;
    default:
      return false;
  }
  return true;
}

// Texts; byte strings are only passed over.
bool PickleReader::read_text(uint8_t opcode) {
  switch (opcode) {
    case 'X':
    case 'T':
      push(take(number<uint32_t>()));
      break;
    case 'U':
    case 0x8c:
      push(take(number<uint8_t>()));
      break;
    case 0x8d:
      push(take(length64()));
      break;
    case 'C':
      take(number<uint8_t>());
      push(PickleOpaque{});
      break;
    case 'B':
      take(number<uint32_t>());
      push(PickleOpaque{});
      break;
    case 0x8e:
    case 0x96:
      take(length64());
      push(PickleOpaque{});
      break;
    default:
      return false;
  }
  return true;
}

bool PickleReader::read_container(uint8_t opcode) {
  switch (opcode) {
    case ')':
      push(PickleTuple{});
      break;
    case ']':
      push(PickleList{});
      break;
    case '}':
      push(PickleDict{});
      break;
    case 0x8f:  // a set
      push(PickleOpaque{});
      break;
    case 0x91:  // a frozen set
      drop(pop_mark());
      push(PickleOpaque{});
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
    default:
      return false;
  }
  return true;
}

bool PickleReader::read_items(uint8_t opcode) {
  switch (opcode) {
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
    case 0x90:  // items of a set
      drop(pop_mark());
      need(1);
      break;
    default:
      return false;
  }
  return true;
}

bool PickleReader::read_memo(uint8_t opcode) {
  if (opcode == 'q') {
    memoize(number<uint8_t>());
  } else if (opcode == 'r') {
    memoize(number<uint32_t>());
  } else if (opcode == 0x94) {
    memoize(static_cast<uint32_t>(memo_.size()));
  } else if (opcode == 'h' || opcode == 'j') {
    const uint32_t index = opcode == 'h' ? number<uint8_t>() : number<uint32_t>();
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("refers to object " + std::to_string(index) + " too early");
    push_shared(*found->second);
  } else {
    return false;
  }
  return true;
}

bool PickleReader::read_stack(uint8_t opcode) {
  switch (opcode) {
    case 0x80:
      if (number<uint8_t>() > kHighestProtocol) fail("uses a pickle protocol above 5");
      break;
    case 0x95:  // a frame: how many bytes follow, which changes nothing
      take(sizeof(uint64_t));
      break;
    case '(':
      charge(kPlaceBytes);
      marks_.push_back(stack_.size());
      break;
    case '0':
      pop();
      break;
    case '1':
      drop(pop_mark());
      break;
    case '2':
      need(1);
      push_shared(*stack_.back());
      break;
    default:
      return false;
  }
  return true;
}

bool PickleReader::read_object(uint8_t opcode) {
  switch (opcode) {
    case 'c':
      read_global();
      break;
    case 0x93:
      read_stack_global();
      break;
    case 'R':
      reduce();
      break;
    case 0x81:
      make_object(1);
      break;
    case 0x92:
      make_object(2);
      break;
    case 'b':
      build();
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
  push(PickleGlobal{module, line()});
}

void PickleReader::read_stack_global() {
  const auto& name = expect<std::string_view>(pop(), "the name of a global");
  push(PickleGlobal{expect<std::string_view>(pop(), "the module of a global"), name});
}

void PickleReader::read_long(size_t size) {
  const std::string_view digits = take(size);  // little-endian two's complement
  if (digits.size() > sizeof(int64_t)) return push(PickleOpaque{});
  const bool negative = !digits.empty() && (static_cast<uint8_t>(digits.back()) & 0x80) != 0;
  int64_t value = negative ? -1 : 0;
  std::memcpy(&value, digits.data(), digits.size());
  push(value);
}

void PickleReader::append_items(size_t first) {
  if (first == 0) fail("appends to nothing");
  auto& target = stack_[first - 1]->data;
  if (std::holds_alternative<PickleOpaque>(target)) target = PickleList{};
  auto* list = std::get_if<PickleList>(&target);
  if (list == nullptr) fail("appends to an object that is not a list");
  charge(kPlaceBytes * (stack_.size() - first));
  list->items.insert(list->items.end(), stack_.begin() + first, stack_.end());
  drop(first);
}

void PickleReader::set_items(size_t first) {
  if (first == 0 || (stack_.size() - first) % 2 != 0) fail("sets an item without key or value");
  auto& target = stack_[first - 1]->data;
  if (std::holds_alternative<PickleOpaque>(target)) target = PickleDict{};
  auto* dict = std::get_if<PickleDict>(&target);
  if (dict == nullptr) fail("sets items of an object that is not a dict");
  charge(kPlaceBytes * (stack_.size() - first));
  for (size_t i = first; i < stack_.size(); i += 2) {
    dict->items.emplace_back(stack_[i], stack_[i + 1]);
  }
  drop(first);
}

void PickleReader::memoize(uint32_t index) {
  need(1);
  charge(kNodeBytes);
  memo_[index] = stack_.back();
}

// ---- bytes and stack ------------------------------------------------------------------------

template <typename T>
T PickleReader::number() {
  T value;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

size_t PickleReader::length64() {
  return number<uint64_t>();
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

void PickleReader::push_shared(PickleValue& value) {
  charge(kPlaceBytes);
  stack_.push_back(&value);
}

void PickleReader::push_tuple(size_t first) {
  charge(kPlaceBytes * (stack_.size() - first));
  PickleTuple tuple{{stack_.begin() + first, stack_.end()}};
  drop(first);
  push(std::move(tuple));
}

void PickleReader::charge(uint64_t bytes) {
  charged_ += bytes;
  if (charged_ > budget_) fail("holds more objects than a file of its size should");
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
  if (stack_.size() < count + (marks_.empty() ? 0 : marks_.back())) {
    fail("has an unbalanced pickle");
  }
}

void PickleReader::fail(const std::string& what) const {
  throw CheckpointError(where_, what + " (pickle byte " + std::to_string(position_) + ")",
                        "use a complete file written by torch.save(model.state_dict(), ...)");
}

}  // namespace resnext
