// Second half of state_dict.h: save_state_dict().
// SPDX-License-Identifier: BSD-3-Clause
#include <caffe2/serialize/inline_container.h>

#include <exception>
#include <limits>
#include <utility>

#include "comm/common/error.h"
#include "model/weights/atomic_file.h"
#include "model/weights/state_dict.h"
#include "model/weights/state_dict_dtype.h"

namespace resnext {
namespace {

// Emits the pickle of an OrderedDict of tensors (opcodes of Python's pickletools, protocol 2).
class PickleWriter {
 public:
  PickleWriter() {
    bytes_ =
        "\x80\x02"
        "ccollections\nOrderedDict\n)R(";
  }

  void add(const std::string& name, const at::Tensor& tensor, size_t index, int64_t numel) {
    text(name);
    bytes_ += "ctorch._utils\n_rebuild_tensor_v2\n(";
    storage(tensor.scalar_type(), index, numel);
    bytes_ += "K";  // the storage begins with the tensor: offset 0
    bytes_ += '\0';
    tuple(tensor.sizes());
    tuple(tensor.strides());
    bytes_ +=
        "\x89"
        "ccollections\nOrderedDict\n)RtR";  // no gradient, no hooks
  }

  std::string finish() && { return std::move(bytes_) + "u."; }

 private:
  void storage(c10::ScalarType dtype, size_t index, int64_t numel) {
    const std::string_view global = storage_global(dtype);
    const size_t space = global.find(' ');
    bytes_ += "(";
    text("storage");
    bytes_ += "c";
    bytes_.append(global.substr(0, space)).append("\n").append(global.substr(space + 1)) += "\n";
    text(std::to_string(index));
    text("cpu");
    integer(numel);
    bytes_ += "tQ";
  }

  void text(std::string_view value) {
    bytes_ += 'X';
    raw(static_cast<uint32_t>(value.size()));
    bytes_ += value;
  }

  // BININT holds 32 bits; LONG1 any number, here of 8 bytes.
  void integer(int64_t value) {
    if (value >= 0 && value <= std::numeric_limits<int32_t>::max()) {
      bytes_ += 'J';
      raw(static_cast<int32_t>(value));
    } else {
      bytes_ += "\x8a\x08";
      raw(value);
    }
  }

  void tuple(at::IntArrayRef values) {
    bytes_ += '(';
    for (const int64_t value : values) integer(value);
    bytes_ += 't';
  }

  template <typename T>
  void raw(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::string bytes_;
};

// Elements from the first to the last of a tensor, in its storage.
int64_t extent(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return 0;
  int64_t last = 0;
  for (int64_t i = 0; i < tensor.dim(); ++i) last += (tensor.size(i) - 1) * tensor.stride(i);
  return last + 1;
}

// On the CPU, each element once. The strides stay, except for expanded tensors.
at::Tensor writable(const at::Tensor& tensor) {
  const at::Tensor local = tensor.detach().cpu();
  return local.numel() > extent(local) ? local.contiguous() : local;
}

void check_entries(const StateDict& state, const std::string& path) {
  for (const auto& [name, tensor] : state) {
    if (tensor.defined() && tensor.layout() == at::kStrided &&
        !storage_global(tensor.scalar_type()).empty()) {
      continue;
    }
    throw OutputError(path + ", tensor '" + name + "'",
                      "only dense tensors of the usual dtypes can be written",
                      "convert it to a dense float or integer tensor first");
  }
}

// The zip writer must be able to finish: what `sink` throws is kept for the end.
class Guarded {
 public:
  explicit Guarded(const std::function<void(std::span<const std::byte>)>& sink) : sink_(sink) {}

  size_t write(const void* data, size_t count) noexcept {
    if (thrown_) return count;
    try {
      sink_({static_cast<const std::byte*>(data), count});
    } catch (...) {
      thrown_ = std::current_exception();
    }
    return count;
  }
  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  const std::function<void(std::span<const std::byte>)>& sink_;
  std::exception_ptr thrown_;
};

}  // namespace

void write_state_dict(const StateDict& state, const std::string& name,
                      const std::function<void(std::span<const std::byte>)>& sink) {
  check_entries(state, name);
  Guarded guarded(sink);
  {
    caffe2::serialize::PyTorchStreamWriter archive(
        [&](const void* data, size_t count) { return guarded.write(data, count); });
    PickleWriter pickle;
    for (size_t i = 0; i < state.size(); ++i) {
      const at::Tensor tensor = writable(state[i].second);
      const int64_t numel = extent(tensor);
      pickle.add(state[i].first, tensor, i, numel);
      archive.writeRecord("data/" + std::to_string(i), tensor.const_data_ptr(),
                          static_cast<size_t>(numel) * tensor.element_size());
    }
    const std::string bytes = std::move(pickle).finish();
    archive.writeRecord("data.pkl", bytes.data(), bytes.size());
    archive.writeRecord("byteorder", "little", 6);
    archive.writeEndOfFile();
  }
  guarded.rethrow();
}

void save_state_dict(const StateDict& state, const std::string& path) {
  AtomicFile file(path);
  write_state_dict(state, path, [&file](std::span<const std::byte> bytes) {
    file.write(bytes.data(), bytes.size());
  });
  file.commit();
}

}  // namespace resnext
