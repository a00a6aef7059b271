// Writes and spoils HDF5 files in tests, as other programs would write them.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "data/hdf5_handle.h"

namespace resnext::testing {

class Hdf5Editor {
 public:
  // Opens an existing file, or creates one.
  explicit Hdf5Editor(const std::string& path, bool create = false)
      : file_(create ? H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)
                     : H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT),
              H5Fclose) {
    if (!file_) throw std::runtime_error("cannot open " + path);
  }

  void remove(const std::string& name) {
    if (H5Lexists(file_.get(), name.c_str(), H5P_DEFAULT) > 0) {
      H5Ldelete(file_.get(), name.c_str(), H5P_DEFAULT);
    }
  }
  void remove_attribute(const std::string& name) {
    if (H5Aexists(file_.get(), name.c_str()) > 0) H5Adelete(file_.get(), name.c_str());
  }

  // Replaces a dataset. Of more values than the shape has, the first are written.
  template <typename T>
  void put(const std::string& name, const std::vector<hsize_t>& dims,
           const std::vector<T>& values) {
    write(name, type_of<T>(), dims, values.data(), H5P_DEFAULT);
  }
  // The same in chunks of one, compressed.
  template <typename T>
  void put_chunked(const std::string& name, const std::vector<hsize_t>& dims,
                   const std::vector<T>& values) {
    const Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    std::vector<hsize_t> chunk = dims;
    chunk[0] = 1;
    H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
    H5Pset_deflate(properties.get(), 1);
    write(name, type_of<T>(), dims, values.data(), properties.get());
  }
  // Variable-length sequences of bytes.
  void put_sequences(const std::string& name, const std::vector<std::vector<uint8_t>>& sequences) {
    const Hdf5Handle type(H5Tvlen_create(H5T_NATIVE_UINT8), H5Tclose);
    std::vector<hvl_t> values;
    for (const auto& s : sequences) values.push_back({s.size(), const_cast<uint8_t*>(s.data())});
    write(name, type.get(), {values.size()}, values.data(), H5P_DEFAULT);
  }
  void put_group(const std::string& name) {
    remove(name);
    const Hdf5Handle group(
        H5Gcreate2(file_.get(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  }

  template <typename T>
  void put_attribute(const std::string& name, const std::vector<T>& values) {
    const hsize_t size = values.size();
    const Hdf5Handle space(size == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &size, nullptr),
                           H5Sclose);
    write_attribute(name, type_of<T>(), space.get(), values.data());
  }
  // A string of fixed length, as C and Fortran programs write it.
  void put_attribute(const std::string& name, const char* text) {
    const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), std::string(text).size() + 1);
    const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    write_attribute(name, type.get(), space.get(), text);
  }

 private:
  template <typename T>
  static hid_t type_of() {
    if constexpr (std::is_same_v<T, uint8_t>) return H5T_NATIVE_UINT8;
    if constexpr (std::is_same_v<T, uint32_t>) return H5T_NATIVE_UINT32;
    if constexpr (std::is_same_v<T, uint64_t>) return H5T_NATIVE_UINT64;
    if constexpr (std::is_same_v<T, int32_t>) return H5T_NATIVE_INT32;
    if constexpr (std::is_same_v<T, int64_t>) return H5T_NATIVE_INT64;
    if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  }

  void write(const std::string& name, hid_t type, const std::vector<hsize_t>& dims,
             const void* values, hid_t properties) {
    remove(name);
    const Hdf5Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
                           H5Sclose);
    const Hdf5Handle data(H5Dcreate2(file_.get(), name.c_str(), type, space.get(), H5P_DEFAULT,
                                     properties, H5P_DEFAULT),
                          H5Dclose);
    if (H5Dwrite(data.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
      throw std::runtime_error("cannot write " + name);
    }
  }

  void write_attribute(const std::string& name, hid_t type, hid_t space, const void* values) {
    remove_attribute(name);
    const Hdf5Handle attribute(
        H5Acreate2(file_.get(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    if (H5Awrite(attribute.get(), type, values) < 0) {
      throw std::runtime_error("cannot write " + name);
    }
  }

  Hdf5Handle file_;
};

}  // namespace resnext::testing
