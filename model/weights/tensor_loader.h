// Tensors of a weights file from their descriptions: checked, and with storages shared as there.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace resnext {

struct SavedStorage {
  std::string key;  // names the bytes: record "data/KEY" of a zip file
  c10::ScalarType dtype;
  int64_t numel;
};
struct SavedTensor {
  const SavedStorage* storage;
  int64_t offset;  // in elements, as are the strides
  std::vector<int64_t> sizes, strides;
};

// Bytes of a storage; 2^64-1 when they overflow.
uint64_t storage_bytes(const SavedStorage& storage);

// Where the bytes of storages are. Throws CheckpointError.
class StorageSource {
 public:
  virtual ~StorageSource() = default;

  // Fills `target` with the storage's bytes. check_storage() tells first whether the file has them.
  virtual void read_storage(const SavedStorage& storage, void* target) const = 0;
  virtual void check_storage(const SavedStorage& storage) const = 0;
};

// Local; one thread. What it is made with must outlive it.
class TensorLoader {
 public:
  // Of weights; ResNet-152 has 932.
  static constexpr size_t kMaxTensors = 65536;

  TensorLoader(const StorageSource& source, const std::string& path)
      : source_(source), path_(path) {}

  // On the CPU. Throws CheckpointError when the shape reaches beyond the storage, or for more than
  // kMaxTensors; `name` is the tensor's, for errors.
  at::Tensor load(const std::string& name, const SavedTensor& description);

 private:
  c10::Storage owner(const SavedStorage& description);
  void check_view(const std::string& name, const SavedTensor& view) const;

  const StorageSource& source_;
  const std::string& path_;
  size_t loaded_ = 0;
  std::unordered_map<std::string, c10::Storage> storages_;
};

}  // namespace resnext
