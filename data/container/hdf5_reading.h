// Reads datasets and attributes of an HDF5 file with their types and shapes checked.
//
// The caller holds lock_hdf5() and Hdf5ErrorsSilenced. Throws DataError naming file and object.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/container/hdf5_handle.h"

namespace resnext {

// What a dataset is, without its elements.
struct DatasetInfo {
  std::string name;
  Hdf5Handle id;
  std::vector<uint64_t> dims;
  bool is_integer = false;  // of any width and sign
  bool is_numeric = false;  // integer, float or truth value, which HDF5 converts
  bool is_text = false;
  bool is_uint8 = false;
  bool is_vlen_uint8 = false;  // variable-length sequences of uint8
  // Of an enumeration its names by value; none of truth values.
  std::map<double, std::string> members;
  size_t element_bytes = 0;  // stored size of one element
  std::string file;          // that holds it: another one where a link leads there
  // In the reader's own file, where stored contiguously; else unknown.
  std::optional<uint64_t> offset;
};

// Elements of a numeric dataset of any rank, converted: those of `count` places of its first
// dimension from `first` on. False when HDF5 cannot.
bool read_doubles(const DatasetInfo& info, uint64_t first, uint64_t count,
                  std::vector<double>& values);

class Hdf5Reader {
 public:
  // Opens read-only. Names are those below `group`. Throws DataError when `path` is no complete
  // HDF5 file or has no such group.
  explicit Hdf5Reader(const std::string& path, const std::string& group = "/");

  const std::string& path() const { return path_; }

  // Throws DataError when a link of this name leads nowhere.
  bool has_dataset(const std::string& name) const;
  DatasetInfo dataset(const std::string& name) const;
  // Paths of all datasets of the group and below it.
  std::vector<std::string> dataset_names() const;

  // Throws DataError when elements of the dataset are missing, which HDF5 would read as zeros, or
  // are compressed by what is not installed.
  void check_stored(const DatasetInfo& info) const;

  // The elements of a one-dimensional dataset of integers.
  std::vector<int64_t> int64s(const DatasetInfo& info) const;
  std::vector<uint64_t> uint64s(const DatasetInfo& info) const;
  // As read_doubles().
  std::vector<double> doubles(const DatasetInfo& info, uint64_t first, uint64_t count) const;
  // All elements of a dataset of text.
  std::vector<std::string> strings(const DatasetInfo& info) const;

  // Attributes of the group; nothing where there is none of that name.
  std::optional<int64_t> int64_attribute(const char* name) const;
  std::optional<std::string> string_attribute(const char* name) const;
  std::optional<std::vector<std::string>> strings_attribute(const char* name) const;
  // The same of a dataset, and of the file's root.
  std::optional<std::vector<std::string>> strings_attribute(const char* name,
                                                            const DatasetInfo& of) const;
  std::optional<std::vector<std::string>> root_strings_attribute(const char* name) const;
  std::optional<std::vector<double>> doubles_attribute(const char* name) const;

 private:
  struct Attribute;
  std::optional<Attribute> attribute(hid_t of, const char* name, H5T_class_t wanted) const;
  std::optional<std::vector<std::string>> strings_attribute(hid_t of, const char* name) const;
  [[noreturn]] void fail(
      const std::string& object, const std::string& what,
      const std::string& remedy = "pack the file again or name another one") const;

  std::string path_;
  Hdf5Handle file_;
  Hdf5Handle group_;
};

}  // namespace resnext
