// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/feature_file.h"

#include <unistd.h>

#include <filesystem>
#include <initializer_list>

#include "comm/common/error.h"

namespace resnext {
namespace {

Hdf5Handle space_of(std::initializer_list<hsize_t> dims) {
  return {H5Screate_simple(static_cast<int>(dims.size()), dims.begin(), nullptr), H5Sclose};
}

Hdf5Handle dataset(hid_t file, const char* name, hid_t type, const Hdf5Handle& space) {
  return {H5Dcreate2(file, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
          H5Dclose};
}

// `count` rows of a dataset from `row`, of `columns` each (0: it has one dimension).
bool write_rows(const Hdf5Handle& set, hid_t type, const void* values, hsize_t row, hsize_t count,
                hsize_t columns) {
  const hsize_t start[] = {row, 0}, size[] = {count, columns};
  const Hdf5Handle space(H5Dget_space(set.get()), H5Sclose);
  const Hdf5Handle memory(H5Screate_simple(columns == 0 ? 1 : 2, size, nullptr), H5Sclose);
  return H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, size, nullptr) >= 0 &&
         H5Dwrite(set.get(), type, memory.get(), space.get(), H5P_DEFAULT, values) >= 0;
}

}  // namespace

FeatureFile::FeatureFile(std::string path, int64_t rows, int64_t features)
    : path_(std::move(path)),
      partial_{path_ + ".partial-" + std::to_string(::getpid())},
      features_(static_cast<uint64_t>(features)) {
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  const auto n = static_cast<hsize_t>(rows);
  file_ = {H5Fcreate(partial_.path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, hdf5_file_access().get()),
           H5Fclose};
  check(static_cast<bool>(file_), "cannot be made");
  values_ = dataset(file_.get(), "features", H5T_IEEE_F32LE, space_of({n, features_}));
  labels_ = dataset(file_.get(), "labels", H5T_STD_I64LE, space_of({n}));
  check(values_ && labels_, "cannot be written");
}

FeatureFile::~FeatureFile() {
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  values_.close();
  labels_.close();
  file_.close();
}

FeatureFile::PartialFile::~PartialFile() {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
}

void FeatureFile::append(const float* values, const int64_t* labels, int64_t count) {
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  const auto rows = static_cast<hsize_t>(count);
  check(write_rows(values_, H5T_NATIVE_FLOAT, values, row_, rows, features_) &&
            write_rows(labels_, H5T_NATIVE_INT64, labels, row_, rows, 0),
        "cannot be written");
  row_ += rows;
}

void FeatureFile::write_names(const std::vector<std::string>& class_names) {
  std::vector<const char*> names;
  for (const std::string& name : class_names) names.push_back(name.c_str());
  const Hdf5Handle text(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(text.get(), H5T_VARIABLE);
  H5Tset_cset(text.get(), H5T_CSET_UTF8);
  const Hdf5Handle set = dataset(file_.get(), "class_names", text.get(), space_of({names.size()}));
  check(set && H5Dwrite(set.get(), text.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, names.data()) >= 0,
        "cannot be written");
}

void FeatureFile::finish(const std::vector<std::string>& class_names) {
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  if (!class_names.empty()) write_names(class_names);
  const bool whole = values_.close() && labels_.close() && file_.close();
  check(whole, "cannot be written");
  std::error_code error;
  std::filesystem::rename(partial_.path, path_, error);
  check(!error, "cannot be given its name");
}

void FeatureFile::check(bool done, const char* what) const {
  if (done) return;
  throw OutputError(path_, what + (": " + hdf5_error()), "free space or correct the permissions");
}

}  // namespace resnext
