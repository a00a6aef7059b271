// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/tensor_loader.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "comm/common/error.h"
#include "model/weights/weights_names.h"

namespace resnext {

uint64_t storage_bytes(const SavedStorage& storage) {
  const auto numel = static_cast<uint64_t>(storage.numel);
  const uint64_t item = c10::elementSize(storage.dtype);
  const uint64_t largest = std::numeric_limits<uint64_t>::max();
  return numel > largest / item ? largest : numel * item;
}

at::Tensor TensorLoader::load(const std::string& name, const SavedTensor& description) {
  if (++loaded_ > kMaxTensors) {
    throw CheckpointError(path_, "holds more than 65536 tensors", "name a file of weights");
  }
  check_view(name, description);
  const SavedStorage& storage = *description.storage;
  const auto& options = at::TensorOptions().dtype(storage.dtype);
  return at::empty({0}, options)
      .set_(owner(storage), description.offset, description.sizes, description.strides);
}

c10::Storage TensorLoader::owner(const SavedStorage& description) {
  const auto known = storages_.find(description.key);
  if (known != storages_.end()) return known->second;
  source_.check_storage(description);
  const auto bytes = static_cast<int64_t>(storage_bytes(description));
  at::Tensor values = at::empty({bytes}, at::TensorOptions().dtype(at::kByte));
  source_.read_storage(description, values.mutable_data_ptr());
  return storages_.emplace(description.key, values.storage()).first->second;
}

// Every element lies inside the storage, and there are not more elements than it has.
void TensorLoader::check_view(const std::string& name, const SavedTensor& view) const {
  const int64_t limit = view.storage->numel;
  bool valid = view.sizes.size() == view.strides.size() && view.offset >= 0;
  const bool empty = std::ranges::count(view.sizes, 0) > 0;
  int64_t numel = 1, last = view.offset;
  for (size_t i = 0; valid && i < view.sizes.size(); ++i) {
    const int64_t size = view.sizes[i], stride = view.strides[i];
    valid = size >= 0 && stride >= 0 &&
            !__builtin_mul_overflow(numel, std::max<int64_t>(size, 1), &numel);
    int64_t reach = 0;
    valid = valid && !__builtin_mul_overflow(std::max<int64_t>(size - 1, 0), stride, &reach) &&
            !__builtin_add_overflow(last, reach, &last);
  }
  if (valid && (empty ? view.offset <= limit : last < limit && numel <= limit)) return;
  throw CheckpointError(path_ + ", tensor '" + readable(name) + "'",
                        "its shape and strides do not fit its storage",
                        "the file is corrupt: write it again");
}

}  // namespace resnext
