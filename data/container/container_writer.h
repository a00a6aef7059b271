// Writes a container of format version 2 (container.h) in one pass.
//
// Samples go straight to their final place in a file with a temporary name, OUT.partial; finish()
// adds the HDF5 structures around them and gives the file its name. The number of samples need not
// be known before. A writer that is destroyed before finish() removes what it wrote, unless it was
// told to keep it; the samples of a kept file are taken over by the next writer's resume().
// The same samples and description give the same bytes. One thread. Throws ConfigError when another
// writer has the file, OutputError when it cannot be written (disk full, no permission), DataError
// when classes share a name or have none.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/container/container.h"
#include "data/container/file.h"
#include "data/container/hdf5_handle.h"

namespace resnext {

// What a container says about itself besides its samples.
struct ContainerDescription {
  Storage storage = Storage::kRaw;
  int64_t height = 0;  // of raw samples
  int64_t width = 0;
  ClassNames class_names;
  std::array<double, 3> mean = {0.485, 0.456, 0.406};  // ImageNet's, of pixels in 0..1
  std::array<double, 3> std = {0.229, 0.224, 0.225};
  std::string order;  // how the samples lie, in words; empty: nobody knows
};

// A sample that lies in a file already.
struct WrittenSample {
  uint64_t bytes = 0;
  uint32_t crc = 0;
  int64_t label = 0;
};

class ContainerWriter {
 public:
  explicit ContainerWriter(std::string path);
  ~ContainerWriter();
  ContainerWriter(const ContainerWriter&) = delete;
  ContainerWriter& operator=(const ContainerWriter&) = delete;

  // The temporary name.
  static std::string partial_path(const std::string& path) { return path + ".partial"; }

  // Before the first append(): takes over the samples that a writer before has kept, in order.
  // False, and nothing is done, when the file is too short for them.
  bool resume(std::span<const WrittenSample> samples);
  // Whether the destructor leaves the file.
  void keep(bool kept) { kept_ = kept; }

  void append(std::span<const uint8_t> bytes, int64_t label);
  // What was appended is on the disk when this returns.
  void save();
  int64_t count() const { return static_cast<int64_t>(labels_.size()); }
  uint64_t bytes() const { return offsets_.back(); }
  uint32_t last_crc() const { return crcs_.back(); }

  // Every appended raw sample must have had height * width * 3 bytes. Synchronises the file to the
  // disk before it gets its name.
  void finish(const ContainerDescription& description);

 private:
  void add(uint64_t bytes, uint32_t crc, int64_t label);
  void flush();
  void write_all(std::span<const uint8_t> bytes, uint64_t offset);
  void write_datasets(hid_t file, const ContainerDescription& description) const;
  void write_structures(const ContainerDescription& description);
  [[noreturn]] void fail(const std::string& why) const;

  std::string path_;
  std::string partial_;
  FileDescriptor data_;
  bool kept_ = false;
  bool finished_ = false;
  std::vector<uint8_t> head_;  // of the file, as HDF5 makes an empty one
  uint64_t start_ = 0;         // where the first sample lies in the file
  uint64_t written_ = 0;
  std::vector<uint8_t> buffer_;
  std::vector<uint64_t> offsets_ = {0};
  std::vector<int64_t> labels_;
  std::vector<uint32_t> crcs_;
};

}  // namespace resnext
