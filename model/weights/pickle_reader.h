// Strict reader of the pickles inside torch.save() files: data only, nothing is ever called.
//
// Understands the opcodes that torch.save emits (protocol 2; the list of Python's pickletools) and
// the globals that describe tensors: collections.OrderedDict, torch.Size, torch.device,
// torch.*Storage, torch dtypes and torch._utils._rebuild_{tensor,tensor_v2,parameter}. Any other
// global is refused by name. Tensors come out as descriptions; the bytes are elsewhere in the file.
// Memory is bounded: at most kMaxObjects objects, no recursion, nothing is copied in bulk.
// Local; a reader and what it returned belong to one thread. Throws CheckpointError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace resnext {

struct PickleValue;
using PickleItems = std::vector<PickleValue*>;

struct PickleNone {};
struct PickleOpaque {};  // a dtype, a device, a number wider than 64 bits
struct PickleGlobal {
  std::string name;  // "module name"
};
struct PickleList {
  PickleItems items;
};
struct PickleTuple {
  PickleItems items;
};
struct PickleDict {
  std::vector<std::pair<PickleValue*, PickleValue*>> items;  // in the file's order
};
struct PickleStorage {
  std::string key;  // names the bytes: record "data/KEY" of a zip file
  c10::ScalarType dtype;
  int64_t numel;
};
struct PickleTensor {
  PickleStorage storage;
  int64_t offset;  // in elements, as are the strides
  std::vector<int64_t> sizes, strides;
};

struct PickleValue {
  std::variant<PickleNone, bool, int64_t, double, std::string, PickleGlobal, PickleList,
               PickleTuple, PickleDict, PickleStorage, PickleTensor, PickleOpaque>
      data;

  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&data);
  }
};

class PickleReader {
 public:
  static constexpr size_t kMaxObjects = 2'000'000;

  // `bytes` must outlive the reader; `where` names the file in errors.
  PickleReader(std::string_view bytes, std::string where);

  // Reads one pickle from the current position up to its STOP. The value and all below it live as
  // long as the reader.
  const PickleValue& read();

  // Bytes consumed so far.
  size_t position() const noexcept { return position_; }

  // All storages that the last pickle mentioned, each once.
  const std::unordered_map<std::string, PickleStorage>& storages() const { return storages_; }

 private:
  bool read_literal(uint8_t opcode);
  bool read_container(uint8_t opcode);
  bool read_memo(uint8_t opcode);
  bool read_call(uint8_t opcode);

  void read_global();
  void read_long();
  void reduce();
  void persistent_id();
  void append_items(size_t first);
  void set_items(size_t first);
  void ordered_dict(const PickleItems& arguments);
  void rebuild_tensor(const PickleItems& arguments);
  std::vector<int64_t> integers(const PickleValue& value) const;

  template <typename T>
  T number();
  std::string_view take(size_t count);
  std::string_view line();
  template <typename T>
  void push(T data);
  void push_tuple(size_t first);
  PickleValue& pop();
  size_t pop_mark();
  void need(size_t count) const;
  template <typename T>
  const T& expect(const PickleValue& value, std::string_view what) const;
  PickleValue& argument(const PickleItems& arguments, size_t index) const;
  void charge(size_t objects);
  [[noreturn]] void fail(const std::string& what) const;

  std::string_view bytes_;
  std::string where_;
  size_t position_ = 0;
  size_t charged_ = 0;               // objects made so far
  std::deque<PickleValue> objects_;  // owns every value: no recursion when it goes
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleValue*> memo_;
  std::unordered_map<std::string, PickleStorage> storages_;
};

}  // namespace resnext
