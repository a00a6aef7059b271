// Strict reader of the pickles inside torch.save() files: data only, nothing is ever called.
//
// Understands the opcodes of protocols 2 to 5 (the list of Python's pickletools) and the globals
// that describe tensors: collections.OrderedDict, torch.Size, torch.*Storage and
// torch._utils._rebuild_{tensor,tensor_v2,parameter,parameter_with_state}. Objects of any other
// class are inert: they become PickleOpaque, or a dict or list once items are put into them (a
// defaultdict). Tensors come out as descriptions; the bytes are elsewhere in the file.
// Memory and work are bounded by `budget`: everything that is made is charged to it, texts are not
// copied, and there is no recursion.
// Local; a reader and what it returned belong to one thread. Throws CheckpointError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/weights/pickle_value.h"

namespace resnext {

class PickleReader {
 public:
  // `bytes` must outlive the reader; `where` names the file in errors; `budget` in bytes.
  PickleReader(std::string_view bytes, std::string where, uint64_t budget);

  // Reads one pickle from the current position up to its STOP. The value and all below it live as
  // long as the reader.
  const PickleValue& read();

  // Bytes consumed so far.
  size_t position() const noexcept { return position_; }

  // All storages that the pickles mentioned, each once.
  const std::unordered_map<std::string_view, SavedStorage>& storages() const { return storages_; }

 private:
  bool read_number(uint8_t opcode);
  bool read_text(uint8_t opcode);
  bool read_container(uint8_t opcode);
  bool read_items(uint8_t opcode);
  bool read_memo(uint8_t opcode);
  bool read_stack(uint8_t opcode);
  bool read_object(uint8_t opcode);

  // pickle_objects.cpp: what globals, calls and persistent ids mean.
  void reduce();
  void call(const PickleValue& target, const PickleItems& arguments);
  void make_object(size_t arguments);
  void build();
  void persistent_id();
  void ordered_dict(const PickleItems& arguments);
  void rebuild_tensor(const PickleItems& arguments);
  std::vector<int64_t> integers(const PickleValue& value) const;

  void read_global();
  void read_stack_global();
  void read_long(size_t size);
  void append_items(size_t first);
  void set_items(size_t first);
  void memoize(uint32_t index);

  template <typename T>
  T number();
  size_t length64();
  std::string_view take(size_t count);
  std::string_view line();
  template <typename T>
  void push(T data);
  void push_shared(PickleValue& value);
  void push_tuple(size_t first);
  void push_opaque(const PickleValue* target);
  PickleValue& pop();
  size_t pop_mark();
  void drop(size_t first) { stack_.resize(first); }
  void need(size_t count) const;
  template <typename T>
  const T& expect(const PickleValue& value, std::string_view what) const;
  PickleValue& argument(const PickleItems& arguments, size_t index) const;
  void charge(uint64_t bytes);
  [[noreturn]] void fail(const std::string& what) const;

  std::string_view bytes_;
  std::string where_;
  uint64_t budget_;
  size_t position_ = 0;
  uint64_t charged_ = 0;
  std::deque<PickleValue> objects_;  // owns every value: no recursion when it goes
  std::deque<SavedTensor> tensors_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleValue*> memo_;
  std::unordered_map<std::string_view, SavedStorage> storages_;
};

// ---- pushing, for both source files -----------------------------------------------------------

template <typename T>
void PickleReader::push(T data) {
  charge(sizeof(PickleValue));
  push_shared(objects_.emplace_back(PickleValue{std::move(data)}));
}

template <typename T>
const T& PickleReader::expect(const PickleValue& value, std::string_view what) const {
  const T* data = value.get_if<T>();
  if (data == nullptr) fail("has a wrong type for " + std::string(what));
  return *data;
}

}  // namespace resnext
