// Writes a container of format version 2 (container.h) in one pass.
//
// Samples go straight to their final place in a file with a temporary name; finish() adds the
// HDF5 structures around them and gives the file its name. A writer that is destroyed before
// finish() leaves nothing behind. The number of samples need not be known before.
// One thread. Throws OutputError when the file cannot be written (disk full, no permission),
// DataError when classes share a name or have none.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/container.h"
#include "data/file.h"
#include "data/hdf5_handle.h"

namespace resnext {

// What a container says about itself besides its samples.
struct ContainerDescription {
  Storage storage = Storage::kRaw;
  int64_t height = 0;  // of raw samples
  int64_t width = 0;
  ClassNames class_names;
  std::array<double, 3> mean = {0.485, 0.456, 0.406};  // ImageNet's, of pixels in 0..1
  std::array<double, 3> std = {0.229, 0.224, 0.225};
};

class ContainerWriter {
 public:
  explicit ContainerWriter(std::string path);
  ~ContainerWriter();
  ContainerWriter(const ContainerWriter&) = delete;
  ContainerWriter& operator=(const ContainerWriter&) = delete;

  // The temporary name, of this process.
  static std::string partial_path(const std::string& path);

  void append(std::span<const uint8_t> bytes, int64_t label);
  int64_t count() const { return static_cast<int64_t>(labels_.size()); }
  uint64_t bytes() const { return offsets_.back(); }

  // Every appended raw sample must have had height * width * 3 bytes. Synchronises the file to the
  // disk before it gets its name.
  void finish(const ContainerDescription& description);

 private:
  // Removes the file of that name, which is no longer there after finish(). Outlives its handles.
  struct PartialFile {
    std::string path;
    ~PartialFile();
  };

  void flush();
  void write_structures(const ContainerDescription& description);
  void write_images(const ContainerDescription& description);
  void write_attributes(const ContainerDescription& description);
  [[noreturn]] void fail(const std::string& why) const;

  std::string path_;
  PartialFile partial_;
  Hdf5Handle file_;
  FileDescriptor data_;
  uint64_t start_ = 0;  // where the first sample lies in the file
  uint64_t written_ = 0;
  std::vector<uint8_t> buffer_;
  std::vector<uint64_t> offsets_ = {0};
  std::vector<int64_t> labels_;
  std::vector<uint32_t> crcs_;
};

}  // namespace resnext
