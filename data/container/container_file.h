// One opened and checked file of a container (container.h).
//
// Throws DataError with file, dataset and remedy. Reading is thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/container/container.h"
#include "data/container/pixel_format.h"
#include "data/container/sample_source.h"
#include "data/data_options.h"

namespace resnext {

struct ContainerFile {
  ContainerFile(const ContainerSource& what, bool verify);
  // No file: its path is kSynthetic.
  explicit ContainerFile(const SyntheticSet& set);

  // As stored, with its checksum compared. Throws DataError.
  void read_sample(int64_t index, std::vector<uint8_t>& bytes) const;

  ContainerSource from;
  DataAddress address;
  std::string path;
  bool verify_crc = true;
  int64_t version = 0;      // of the format; 0: made by others
  bool own_format = false;  // made by `resnext_data pack`, so held to the whole format
  Storage storage = Storage::kRaw;
  uint64_t count = 0;
  int64_t classes = 0;
  ClassNames class_names;
  PixelFormat format;                                  // of raw images
  std::array<double, 3> mean = {0.485, 0.456, 0.406};  // ImageNet's
  std::array<double, 3> std = {0.229, 0.224, 0.225};
  std::string order;
  std::vector<int64_t> labels;
  std::vector<uint64_t> crcs;  // empty: none stored
  bool direct = false;
  std::unique_ptr<SampleSource> source;
  std::vector<std::string> remarks;

 private:
  [[noreturn]] void fail(const std::string& object, const std::string& what,
                         const std::string& remedy = "pack the file again") const;
  void read_version(const Hdf5Reader& reader);
  DatasetInfo find_images(const Hdf5Reader& reader) const;
  void check_shape(const DatasetInfo& images);
  void check_raw_shape(const DatasetInfo& images);
  void check_levels(const Hdf5Reader& reader, const DatasetInfo& images);
  void open_converted(const Hdf5Reader& reader, DatasetInfo images);
  void check_storage_attribute(const Hdf5Reader& reader) const;
  std::vector<uint64_t> read_offsets(const Hdf5Reader& reader, const DatasetInfo& images);
  void open_samples(const Hdf5Reader& reader);
  std::string find_labels(const Hdf5Reader& reader) const;
  void read_labels(const Hdf5Reader& reader);
  void read_own_labels(const Hdf5Reader& reader);
  void take_labels(const Hdf5Reader& reader, const std::string& name, const ClassNames& otherwise);
  void read_crcs(const Hdf5Reader& reader);
  void read_classes(const Hdf5Reader& reader);
  void check_labels() const;
  void check_description(const Hdf5Reader& reader) const;
  std::array<double, 3> read_colour(const Hdf5Reader& reader, const char* name,
                                    std::array<double, 3> standard) const;
};

}  // namespace resnext
