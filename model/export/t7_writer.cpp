// SPDX-License-Identifier: BSD-3-Clause
#include "model/export/t7_writer.h"

#include <type_traits>

namespace resnext {
namespace {

// The tags of model/weights/t7_reader.h.
constexpr int32_t kNil = 0, kNumber = 1, kString = 2, kTable = 3, kTorch = 4, kBoolean = 5;

class Writer {
 public:
  explicit Writer(const ByteSink& sink) : sink_(sink) {}

  void write(const T7Module& module) {
    begin_object(module.type);
    begin_table(module.fields.size());
    for (const auto& [name, field] : module.fields) {
      write(name);
      std::visit([this](const auto& value) { write(value); }, field);
    }
  }

 private:
  void write(double value) {
    put(kNumber);
    put(value);
  }
  void write(bool value) {
    put(kBoolean);
    put(int32_t{value});
  }
  void write(const std::string& text) {
    put(kString);
    put_text(text);
  }
  void write(const T7Modules& modules) {
    begin_table(modules.size());
    for (size_t i = 0; i < modules.size(); ++i) {
      write(static_cast<double>(i + 1));
      write(modules[i]);
    }
  }
  void write(const T7LongStorage& values) {
    begin_object("torch.LongStorage");
    put(static_cast<int64_t>(values.size()));
    put_bytes(values.data(), values.size() * sizeof(int64_t));
  }
  void write(const at::Tensor& tensor) {
    begin_object("torch.FloatTensor");
    const at::IntArrayRef sizes = tensor.defined() ? tensor.sizes() : at::IntArrayRef();
    const at::IntArrayRef strides = tensor.defined() ? tensor.strides() : at::IntArrayRef();
    put(static_cast<int32_t>(sizes.size()));
    for (const int64_t size : sizes) put(size);
    for (const int64_t stride : strides) put(stride);
    put(int64_t{1});  // place of the first element
    if (!tensor.defined()) return put(kNil);
    begin_object("torch.FloatStorage");
    put(tensor.numel());
    put_bytes(tensor.const_data_ptr(), tensor.nbytes());
  }

  // Every object is a new one.
  void begin_object(const std::string& type) {
    put(kTorch);
    put(++objects_);
    put_text("V 1");
    put_text(type);
  }
  void begin_table(size_t items) {
    put(kTable);
    put(++objects_);
    put(static_cast<int32_t>(items));
  }

  void put_text(const std::string& text) {
    put(static_cast<int32_t>(text.size()));
    put_bytes(text.data(), text.size());
  }
  template <typename T>
  void put(T value) {
    static_assert(std::is_arithmetic_v<T>);
    put_bytes(&value, sizeof value);
  }
  void put_bytes(const void* data, size_t count) {
    sink_({static_cast<const std::byte*>(data), count});
  }

  const ByteSink& sink_;
  int32_t objects_ = 0;
};

}  // namespace

void write_t7_module(const T7Module& module, const ByteSink& sink) {
  Writer(sink).write(module);
}

}  // namespace resnext
