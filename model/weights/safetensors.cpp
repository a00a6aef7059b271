// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/safetensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "comm/common/error.h"
#include "model/weights/safetensors_header.h"
#include "model/weights/weights_names.h"

namespace resnext {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

uint64_t header_bytes(const WeightsInput& input) {
  uint64_t length = 0;
  input.read(0, &length, sizeof length);
  return length;
}

std::vector<SafetensorsEntry> read_header(const WeightsInput& input) {
  const uint64_t length = header_bytes(input);
  if (length > kMaxHeaderBytes) input.fail("is corrupt: its header is longer than 100,000,000");
  try {
    return parse_safetensors_header(input.read(kLengthBytes, length));
  } catch (const std::invalid_argument& error) {
    input.fail(std::string("is corrupt: ") + error.what());
  }
}

// In the order of their bytes, which are one piece from 0 to `size`. Empty ones come first.
void check_layout(const WeightsInput& input, std::vector<SafetensorsEntry>& entries,
                  uint64_t size) {
  std::ranges::stable_sort(entries, {}, &SafetensorsEntry::offsets);
  uint64_t end = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.offsets[0] != end || entry.offsets[1] < end) {
      input.fail("is corrupt: tensor '" + readable(entry.name) + "' overlaps or leaves a gap");
    }
    end = entry.offsets[1];
  }
  if (end != size) {
    input.fail("is truncated or corrupt: its tensors take " + std::to_string(end) + " bytes of " +
               std::to_string(size));
  }
}

c10::ScalarType checked_dtype(const WeightsInput& input, const SafetensorsEntry& entry) {
  const auto dtype = safetensors_dtype(entry.dtype);
  if (!dtype) {
    input.fail("has tensor '" + readable(entry.name) + "' of dtype " + readable(entry.dtype) +
               ", which is not read");
  }
  auto bytes = static_cast<int64_t>(c10::elementSize(*dtype));
  bool fits = true;
  for (const int64_t size : entry.shape) {  // strides of empty tensors, too, are numbers
    fits = fits && !__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes);
  }
  if (std::ranges::count(entry.shape, 0) > 0) bytes = 0;
  if (!fits || static_cast<uint64_t>(bytes) != entry.offsets[1] - entry.offsets[0]) {
    input.fail("is corrupt: the shape of tensor '" + readable(entry.name) +
               "' does not fit its bytes");
  }
  return *dtype;
}

std::vector<at::Tensor> sorted_tensors(const StateDict& state, const std::string& name,
                                       std::vector<std::string>& names) {
  std::vector<std::pair<std::string, at::Tensor>> sorted;
  for (const auto& [key, tensor] : state) {
    if (!tensor.defined() || tensor.layout() != at::kStrided ||
        safetensors_name(tensor.scalar_type()).empty()) {
      throw OutputError(name + ", tensor '" + key + "'",
                        "only dense tensors of the usual dtypes can be written",
                        "convert it to a dense float or integer tensor first");
    }
    sorted.emplace_back(key, tensor.detach().cpu().contiguous());
  }
  std::ranges::stable_sort(sorted, std::greater<>(),
                           [](const auto& e) { return e.second.element_size(); });
  std::vector<at::Tensor> tensors;
  for (auto& [key, tensor] : sorted) {
    names.push_back(std::move(key));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace

bool is_safetensors(const WeightsInput& input) {
  return input.size() > kLengthBytes && input.read(kLengthBytes, 1) == "{" &&
         header_bytes(input) <= kMaxHeaderBytes;
}

StateDict read_safetensors(const WeightsInput& input, const std::string& key) {
  std::vector<SafetensorsEntry> entries = read_header(input);
  const uint64_t begin = kLengthBytes + header_bytes(input);
  check_layout(input, entries, input.size() - begin);
  StateDict state;
  for (const SafetensorsEntry& entry : entries) {
    const c10::ScalarType dtype = checked_dtype(input, entry);
    if (!key.empty() && !entry.name.starts_with(key + ".")) continue;
    const at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(dtype));
    input.read(begin + entry.offsets[0], tensor.mutable_data_ptr(), tensor.nbytes());
    state.emplace_back(entry.name, tensor);
  }
  if (state.empty()) {
    throw CheckpointError(input.path(),
                          key.empty()
                              ? "holds no tensors"
                              : "has no tensor whose name begins with '" + readable(key) + ".'",
                          "name a file of weights, and what its names begin with");
  }
  return state;
}

void write_safetensors(const StateDict& state, const std::string& name,
                       const std::function<void(std::span<const std::byte>)>& sink) {
  std::vector<std::string> names;
  const std::vector<at::Tensor> tensors = sorted_tensors(state, name, names);
  nlohmann::ordered_json header;
  header["__metadata__"]["format"] = "pt";
  uint64_t end = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const uint64_t begin = end;
    end += tensors[i].nbytes();
    header[names[i]] = {{"dtype", safetensors_name(tensors[i].scalar_type())},
                        {"shape", tensors[i].sizes().vec()},
                        {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const uint64_t length = text.size();
  sink(std::as_bytes(std::span(&length, 1)));
  sink(std::as_bytes(std::span(text)));
  for (const at::Tensor& tensor : tensors) {
    sink({static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
  }
}

}  // namespace resnext
