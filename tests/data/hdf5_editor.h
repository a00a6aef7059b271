// Writes and spoils HDF5 files in tests, as other programs would write them.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "data/container/hdf5_handle.h"

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
  // A dataset of bytes that is created and never written, in chunks of one where `chunked`.
  void put_unwritten(const std::string& name, const std::vector<hsize_t>& dims, bool chunked) {
    const Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    std::vector<hsize_t> chunk = dims;
    chunk[0] = 1;
    if (chunked) H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
    create(name, H5T_NATIVE_UINT8, dims, properties.get());
  }
  // Fills the first `count` of a dataset's places.
  void fill_first(const std::string& name, hsize_t count, const std::vector<uint8_t>& values) {
    const Hdf5Handle data(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
    const Hdf5Handle space(H5Dget_space(data.get()), H5Sclose);
    std::vector<hsize_t> size(static_cast<size_t>(H5Sget_simple_extent_ndims(space.get())));
    H5Sget_simple_extent_dims(space.get(), size.data(), nullptr);
    size[0] = count;
    const std::vector<hsize_t> first(size.size(), 0);
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, first.data(), nullptr, size.data(), nullptr);
    const hsize_t all = values.size();
    const Hdf5Handle memory(H5Screate_simple(1, &all, nullptr), H5Sclose);
    H5Dwrite(data.get(), H5T_NATIVE_UINT8, memory.get(), space.get(), H5P_DEFAULT, values.data());
  }
  // Bytes that lie in another file, in one piece.
  void put_external(const std::string& name, const std::vector<hsize_t>& dims,
                    const std::string& other, hsize_t bytes) {
    const Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_external(properties.get(), other.c_str(), 0, bytes);
    create(name, H5T_NATIVE_UINT8, dims, properties.get());
  }
  // A virtual dataset of bytes: `parts` in a row, each (file, dataset, its length).
  struct Part {
    std::string file;
    std::string dataset;
    hsize_t length;
  };
  void put_virtual(const std::string& name, const std::vector<hsize_t>& dims,
                   const std::vector<Part>& parts) {
    const Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const Hdf5Handle space = space_of(dims);
    std::vector<hsize_t> first(dims.size(), 0), size = dims;
    for (const Part& part : parts) {
      size[0] = part.length;
      H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, first.data(), nullptr, size.data(), nullptr);
      const Hdf5Handle source = space_of(size);
      H5Pset_virtual(properties.get(), space.get(), part.file.c_str(), part.dataset.c_str(),
                     source.get());
      first[0] += part.length;
    }
    create(name, H5T_NATIVE_UINT8, dims, properties.get());
  }
  // Variable-length sequences of bytes.
  void put_sequences(const std::string& name, const std::vector<std::vector<uint8_t>>& sequences) {
    const Hdf5Handle type(H5Tvlen_create(H5T_NATIVE_UINT8), H5Tclose);
    std::vector<hvl_t> values;
    for (const auto& s : sequences) values.push_back({s.size(), const_cast<uint8_t*>(s.data())});
    write(name, type.get(), {values.size()}, values.data(), H5P_DEFAULT);
  }
  // Strings of variable length, as h5py writes them.
  void put_texts(const std::string& name, const std::vector<const char*>& texts) {
    write(name, text_type().get(), {texts.size()}, texts.data(), H5P_DEFAULT);
  }
  // Of the file, or of an object of it.
  void put_text_attribute(const std::string& name, const std::vector<const char*>& texts,
                          const std::string& of = "/") {
    const Hdf5Handle object(H5Oopen(file_.get(), of.c_str(), H5P_DEFAULT), H5Oclose);
    write_attribute(object.get(), name, text_type().get(), space_of({texts.size()}).get(),
                    texts.data());
  }
  // Truth values, as h5py writes them: an enumeration of FALSE and TRUE.
  void put_truths(const std::string& name, const std::vector<int8_t>& values) {
    const Hdf5Handle type(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose);
    for (int8_t value : {0, 1}) H5Tenum_insert(type.get(), value ? "TRUE" : "FALSE", &value);
    write(name, type.get(), {values.size()}, values.data(), H5P_DEFAULT);
  }
  // An enumeration, as `h5py.enum_dtype` makes it.
  void put_enumeration(const std::string& name, const std::map<std::string, int8_t>& members,
                       const std::vector<int8_t>& values) {
    const Hdf5Handle type(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose);
    for (const auto& [member, value] : members) H5Tenum_insert(type.get(), member.c_str(), &value);
    write(name, type.get(), {values.size()}, values.data(), H5P_DEFAULT);
  }
  // Strings of `width` characters, filled up with blanks, as Fortran writes them.
  void put_blank_padded(const std::string& name, size_t width, const std::string& texts) {
    const Hdf5Handle type(H5Tcopy(H5T_FORTRAN_S1), H5Tclose);
    H5Tset_size(type.get(), width);
    write(name, type.get(), {texts.size() / width}, texts.data(), H5P_DEFAULT);
  }
  // A link to a dataset of another file.
  void put_link(const std::string& name, const std::string& other, const std::string& there) {
    H5Lcreate_external(other.c_str(), there.c_str(), file_.get(), name.c_str(), H5P_DEFAULT,
                       H5P_DEFAULT);
  }
  // Bytes in one chunk, through a filter that nobody else has.
  void put_filtered(const std::string& name, const std::vector<hsize_t>& dims,
                    const std::vector<uint8_t>& values) {
    constexpr H5Z_filter_t kOwn = 510;
    const H5Z_class2_t filter{
        H5Z_CLASS_T_VERS,
        kOwn,
        1,
        1,
        "squeeze",
        nullptr,
        nullptr,
        [](unsigned, size_t, const unsigned[], size_t bytes, size_t*, void**) { return bytes; }};
    H5Zregister(&filter);
    const Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_chunk(properties.get(), static_cast<int>(dims.size()), dims.data());
    H5Pset_filter(properties.get(), kOwn, H5Z_FLAG_MANDATORY, 0, nullptr);
    write(name, H5T_NATIVE_UINT8, dims, values.data(), properties.get());
    H5Fflush(file_.get(), H5F_SCOPE_LOCAL);
    H5Zunregister(kOwn);
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
  static Hdf5Handle text_type() {
    Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), H5T_VARIABLE);
    return type;
  }

  template <typename T>
  static hid_t type_of() {
    if constexpr (std::is_same_v<T, uint8_t>) return H5T_NATIVE_UINT8;
    if constexpr (std::is_same_v<T, uint32_t>) return H5T_NATIVE_UINT32;
    if constexpr (std::is_same_v<T, uint64_t>) return H5T_NATIVE_UINT64;
    if constexpr (std::is_same_v<T, int32_t>) return H5T_NATIVE_INT32;
    if constexpr (std::is_same_v<T, int64_t>) return H5T_NATIVE_INT64;
    if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
    if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
    if constexpr (std::is_same_v<T, uint16_t>) return H5T_NATIVE_UINT16;
  }

  static Hdf5Handle space_of(const std::vector<hsize_t>& dims) {
    return {H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose};
  }

  Hdf5Handle create(const std::string& name, hid_t type, const std::vector<hsize_t>& dims,
                    hid_t properties) {
    remove(name);
    const Hdf5Handle space = space_of(dims);
    return {H5Dcreate2(file_.get(), name.c_str(), type, space.get(), H5P_DEFAULT, properties,
                       H5P_DEFAULT),
            H5Dclose};
  }

  void write(const std::string& name, hid_t type, const std::vector<hsize_t>& dims,
             const void* values, hid_t properties) {
    const Hdf5Handle data = create(name, type, dims, properties);
    if (H5Dwrite(data.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
      throw std::runtime_error("cannot write " + name);
    }
  }

  void write_attribute(const std::string& name, hid_t type, hid_t space, const void* values) {
    remove_attribute(name);
    write_attribute(file_.get(), name, type, space, values);
  }
  void write_attribute(hid_t object, const std::string& name, hid_t type, hid_t space,
                       const void* values) {
    const Hdf5Handle attribute(
        H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    if (H5Awrite(attribute.get(), type, values) < 0) {
      throw std::runtime_error("cannot write " + name);
    }
  }

  Hdf5Handle file_;
};

}  // namespace resnext::testing
