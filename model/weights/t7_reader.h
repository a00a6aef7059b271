// Torch7's binary serialisation (torch7's File.lua and generic/Tensor.c, little-endian, 8-byte
// longs), as data: nothing is run, and functions are passed over.
//
// An object is an int32 tag: 0 nil; 1 number (double); 2 string (int32 length); 3 table; 4 object
// of a class; 5 boolean (int32); 6 to 8 function. Tables, classes and functions of tag 7 and 8
// carry an int32 index, under which they are mentioned again. A table is its int32 count and as
// many keys and values; an object "V 1", its class and what the class writes: a tensor its
// dimensions, sizes, strides, offset from 1 and storage; a storage its count and elements; others a
// table. Memory and work are bounded by the file's size, and there is no recursion.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "model/weights/tensor_loader.h"
#include "model/weights/weights_input.h"

namespace resnext {

struct T7Value;

struct T7Nil {};  // functions too
struct T7Table {
  std::vector<std::pair<const T7Value*, const T7Value*>> items;
};
struct T7Object {
  std::string type;        // "nn.Sequential"
  const T7Value* content;  // a table
};

struct T7Value {
  std::variant<T7Nil, double, bool, std::string, T7Table, T7Object, const SavedStorage*,
               const SavedTensor*>
      data;

  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&data);
  }
};

// Local; one thread. Throws CheckpointError. `input` must outlive it.
class T7Reader final : public StorageSource {
 public:
  static bool recognises(const WeightsInput& input);

  explicit T7Reader(const WeightsInput& input);

  // The file's first object. It and all below live as long as the reader.
  const T7Value& root() const { return *root_; }

  void read_storage(const SavedStorage& storage, void* target) const override;
  void check_storage(const SavedStorage&) const override {}  // when it was read

 private:
  enum class Kind { kTable, kObject, kTensor, kFunction };
  // An object of which parts are still to come.
  struct Frame {
    Kind kind;
    T7Value* target;
    uint64_t left = 1;             // parts
    const T7Value* key = nullptr;  // of a table, when its value comes next
    SavedTensor tensor = {};
  };

  const T7Value* read();
  const T7Value* begin();
  const T7Value* begin_table();
  const T7Value* begin_class();
  const T7Value* begin_function(bool indexed);
  const T7Value* begin_tensor(int32_t index);
  const T7Value* storage(int32_t index, c10::ScalarType dtype);
  const T7Value* deliver(const T7Value* part);
  const SavedTensor* finish_tensor(Frame& frame, const T7Value& storage);
  const T7Value* known(int32_t index) const;

  template <typename T>
  T number();
  std::string text();
  void skip(uint64_t bytes);
  T7Value& make(T7Value value);
  void remember(int32_t index, const T7Value& value);
  void push(Frame frame);
  void charge(uint64_t bytes);

  const WeightsInput& input_;
  uint64_t position_ = 0;
  std::string window_;
  uint64_t window_begin_ = 0;
  uint64_t charged_ = 0;
  std::deque<T7Value> values_;  // owns every value: no recursion when it goes
  std::deque<SavedTensor> tensors_;
  std::deque<SavedStorage> storages_;
  std::vector<uint64_t> storage_positions_;  // storages_[i].key is i
  std::vector<Frame> frames_;
  std::unordered_map<int32_t, const T7Value*> known_;
  const T7Value* root_ = nullptr;
};

}  // namespace resnext
