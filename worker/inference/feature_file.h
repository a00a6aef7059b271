// An HDF5 file of features that is written row by row.
//
// Under a temporary name until finish(); without it nothing is left behind. One thread. Throws
// OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/container/hdf5_handle.h"

namespace resnext {

class FeatureFile {
 public:
  // Of `rows` images and `features` numbers each.
  FeatureFile(std::string path, int64_t rows, int64_t features);
  ~FeatureFile();
  FeatureFile(const FeatureFile&) = delete;
  FeatureFile& operator=(const FeatureFile&) = delete;

  // The next rows: values [count, features], labels [count].
  void append(const float* values, const int64_t* labels, int64_t count);
  void finish(const std::vector<std::string>& class_names);

 private:
  void write_names(const std::vector<std::string>& class_names);
  void check(bool done, const char* what) const;

  // Removes the file of that name, which is no longer there after finish(). Outlives its handles.
  struct PartialFile {
    std::string path;
    ~PartialFile();
  };

  std::string path_;
  PartialFile partial_;
  uint64_t features_;
  uint64_t row_ = 0;
  Hdf5Handle file_, values_, labels_;
};

}  // namespace resnext
