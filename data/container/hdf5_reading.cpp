// Typed, checked reads through the HDF5 C API.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/hdf5_reading.h"

#include <array>
#include <cstring>

#include "comm/common/error.h"
#include "data/container/hdf5_storage.h"

namespace resnext {
namespace {

constexpr uint64_t kMaxAttributeElements = 1 << 24;

Hdf5Handle own_type(hid_t id) {
  return {id, H5Tclose};
}

// The names of an enumeration by value. h5py writes truth values as one of FALSE and TRUE.
std::map<double, std::string> members_of(hid_t type) {
  std::map<double, std::string> members;
  const Hdf5Handle base = own_type(H5Tget_super(type));
  for (int i = 0; i < H5Tget_nmembers(type); ++i) {
    std::array<uint64_t, 4> element{};  // of any integer type
    const auto index = static_cast<unsigned>(i);
    if (H5Tget_size(type) > sizeof element ||
        H5Tget_member_value(type, index, element.data()) < 0 ||
        H5Tconvert(base.get(), H5T_NATIVE_DOUBLE, 1, element.data(), nullptr, H5P_DEFAULT) < 0) {
      return {};
    }
    double value = 0;
    std::memcpy(&value, element.data(), sizeof value);
    char* name = H5Tget_member_name(type, index);
    members.emplace(value, name);
    H5free_memory(name);
  }
  const std::map<double, std::string> truth = {{0, "FALSE"}, {1, "TRUE"}};
  return members == truth ? std::map<double, std::string>{} : members;
}

// Describes the element type of `info`.
void describe_type(DatasetInfo& info) {
  const Hdf5Handle type = own_type(H5Dget_type(info.id.get()));
  info.element_bytes = H5Tget_size(type.get());
  const auto is_uint8 = [](hid_t t) {
    return H5Tget_class(t) == H5T_INTEGER && H5Tget_size(t) == 1 && H5Tget_sign(t) == H5T_SGN_NONE;
  };
  info.is_integer = H5Tget_class(type.get()) == H5T_INTEGER;
  const H5T_class_t kind = H5Tget_class(type.get());
  info.is_numeric = kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM;
  info.is_text = kind == H5T_STRING;
  info.is_uint8 = is_uint8(type.get());
  if (kind == H5T_ENUM) info.members = members_of(type.get());
  if (H5Tget_class(type.get()) != H5T_VLEN) return;
  const Hdf5Handle base = own_type(H5Tget_super(type.get()));
  info.is_vlen_uint8 = is_uint8(base.get());
}

// The path of the file that an object is in.
std::string file_of(hid_t object) {
  const ssize_t length = H5Fget_name(object, nullptr, 0);
  if (length <= 0) return "";
  std::string path(static_cast<size_t>(length) + 1, '\0');
  H5Fget_name(object, path.data(), path.size());
  path.resize(static_cast<size_t>(length));
  return path;
}

// Where the elements lie in the reader's file, when they lie there in one piece and as they are.
std::optional<uint64_t> contiguous_offset(const DatasetInfo& info, const std::string& file) {
  if (info.file != file) return std::nullopt;
  const Hdf5Handle properties(H5Dget_create_plist(info.id.get()), H5Pclose);
  if (H5Pget_layout(properties.get()) != H5D_CONTIGUOUS) return std::nullopt;
  if (H5Pget_external_count(properties.get()) != 0) return std::nullopt;
  const haddr_t offset = H5Dget_offset(info.id.get());
  if (offset == HADDR_UNDEF) return std::nullopt;
  return offset;
}

// `elements` strings of one type, which `read` brings into memory; none when it cannot.
template <typename Read>
std::optional<std::vector<std::string>> read_texts(hid_t type, hid_t space, size_t elements,
                                                   const Read& read) {
  std::vector<std::string> values;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> texts(elements, nullptr);
    if (!read(texts.data())) return std::nullopt;
    for (const char* text : texts) values.emplace_back(text == nullptr ? "" : text);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts.data());
    return values;
  }
  const size_t width = H5Tget_size(type);
  if (width == 0 || width > kMaxAttributeElements) return std::nullopt;
  std::string all(elements * width, '\0');
  if (!read(all.data())) return std::nullopt;
  for (size_t i = 0; i < elements; ++i) {
    const std::string padded = all.substr(i * width, width);
    values.push_back(padded.substr(0, padded.find('\0')));
    if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) {
      values.back().erase(values.back().find_last_not_of(' ') + 1);
    }
  }
  return values;
}

}  // namespace

bool read_doubles(const DatasetInfo& info, uint64_t first, uint64_t count,
                  std::vector<double>& values) {
  std::vector<hsize_t> begin(info.dims.size(), 0), size(info.dims.begin(), info.dims.end());
  begin[0] = first;
  size[0] = count;
  const Hdf5Handle space(H5Dget_space(info.id.get()), H5Sclose);
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, begin.data(), nullptr, size.data(), nullptr);
  const auto all = static_cast<hsize_t>(H5Sget_select_npoints(space.get()));
  const Hdf5Handle memory(H5Screate_simple(1, &all, nullptr), H5Sclose);
  values.resize(all);
  return H5Dread(info.id.get(), H5T_NATIVE_DOUBLE, memory.get(), space.get(), H5P_DEFAULT,
                 values.data()) >= 0;
}

struct Hdf5Reader::Attribute {
  Hdf5Handle id;
  Hdf5Handle type;
  size_t elements = 0;
};

void Hdf5Reader::fail(const std::string& object, const std::string& what,
                      const std::string& remedy) const {
  const std::string detail = hdf5_error();
  throw DataError(path_ + ":" + object, what + (detail.empty() ? "" : " (" + detail + ")"), remedy);
}

Hdf5Reader::Hdf5Reader(const std::string& path, const std::string& group) : path_(path) {
  if (H5Fis_hdf5(path.c_str()) <= 0) {
    throw DataError(path, "is not an HDF5 file", "make it with `resnext_data pack`");
  }
  const Hdf5Handle access = hdf5_file_access();
  file_ = Hdf5Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
  if (!file_) {
    throw DataError(path, "cannot be opened as HDF5: " + hdf5_error(),
                    "the file is damaged or incomplete: copy or pack it again");
  }
  group_ = Hdf5Handle(H5Gopen2(file_.get(), group.c_str(), H5P_DEFAULT), H5Gclose);
  if (!group_)
    throw DataError(path + ":" + group, "there is no such group", "name one of the file");
}

bool Hdf5Reader::has_dataset(const std::string& name) const {
  if (H5Lexists(group_.get(), name.c_str(), H5P_DEFAULT) <= 0) return false;
  const Hdf5Handle object(H5Oopen(group_.get(), name.c_str(), H5P_DEFAULT), H5Oclose);
  if (!object) fail(name, "is a link that leads nowhere", "bring what it leads to to its place");
  return H5Iget_type(object.get()) == H5I_DATASET;
}

DatasetInfo Hdf5Reader::dataset(const std::string& name) const {
  DatasetInfo info;
  info.name = name;
  if (!has_dataset(name)) fail(name, "there is no such dataset");
  info.id = Hdf5Handle(H5Dopen2(group_.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!info.id) fail(name, "the dataset cannot be opened");
  const Hdf5Handle space(H5Dget_space(info.id.get()), H5Sclose);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  if (rank < 0) fail(name, "the dataset's shape cannot be read");
  std::vector<hsize_t> dims(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr);
  info.dims.assign(dims.begin(), dims.end());
  describe_type(info);
  info.file = file_of(info.id.get());
  info.offset = contiguous_offset(info, file_of(file_.get()));
  return info;
}

std::vector<std::string> Hdf5Reader::dataset_names() const {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5O_info_t* info, void* out) -> herr_t {
    if (info->type == H5O_TYPE_DATASET)
      static_cast<std::vector<std::string>*>(out)->push_back(name);
    return 0;
  };
  if (H5Ovisit1(group_.get(), H5_INDEX_NAME, H5_ITER_INC, add, &names) < 0) {
    fail("/", "the file's contents cannot be listed");
  }
  return names;
}

void Hdf5Reader::check_stored(const DatasetInfo& info) const {
  const std::string filter = missing_filter(info.id.get());
  if (!filter.empty()) {
    throw DataError(path_ + ":" + info.name, "is compressed by what is not installed: " + filter,
                    "name the folder of its plugin in HDF5_PLUGIN_PATH, or write the file with "
                    "gzip or without compression");
  }
  const std::string missing = missing_storage(info.id.get(), info.file);
  if (missing.empty()) return;
  throw DataError(path_ + ":" + info.name, "is not complete: " + missing,
                  "bring what is missing to its place, or make the file again");
}

std::vector<int64_t> Hdf5Reader::int64s(const DatasetInfo& info) const {
  if (!info.is_integer || info.dims.size() != 1) fail(info.name, "must be integers [N]");
  check_stored(info);
  std::vector<int64_t> values(info.dims[0]);
  if (!values.empty() &&
      H5Dread(info.id.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    fail(info.name, "the dataset cannot be read");
  }
  return values;
}

std::vector<uint64_t> Hdf5Reader::uint64s(const DatasetInfo& info) const {
  if (!info.is_integer || info.dims.size() != 1) fail(info.name, "must be integers [N]");
  check_stored(info);
  std::vector<uint64_t> values(info.dims[0]);
  if (!values.empty() &&
      H5Dread(info.id.get(), H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    fail(info.name, "the dataset cannot be read");
  }
  return values;
}

std::vector<double> Hdf5Reader::doubles(const DatasetInfo& info, uint64_t first,
                                        uint64_t count) const {
  std::vector<double> values;
  if (!read_doubles(info, first, count, values)) fail(info.name, "the dataset cannot be read");
  return values;
}

std::vector<std::string> Hdf5Reader::strings(const DatasetInfo& info) const {
  const Hdf5Handle type = own_type(H5Dget_type(info.id.get()));
  const Hdf5Handle space(H5Dget_space(info.id.get()), H5Sclose);
  const auto elements = static_cast<size_t>(H5Sget_simple_extent_npoints(space.get()));
  auto values = read_texts(type.get(), space.get(), elements, [&](void* out) {
    return H5Dread(info.id.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
  });
  if (!values) fail(info.name, "the dataset cannot be read");
  return std::move(*values);
}

std::optional<Hdf5Reader::Attribute> Hdf5Reader::attribute(hid_t of, const char* name,
                                                           H5T_class_t wanted) const {
  if (H5Aexists(of, name) <= 0) return std::nullopt;
  Attribute found;
  found.id = Hdf5Handle(H5Aopen(of, name, H5P_DEFAULT), H5Aclose);
  if (!found.id) fail(name, "the attribute cannot be opened");
  found.type = own_type(H5Aget_type(found.id.get()));
  if (H5Tget_class(found.type.get()) != wanted) fail(name, "the attribute has a wrong type");
  const Hdf5Handle space(H5Aget_space(found.id.get()), H5Sclose);
  const hssize_t elements = H5Sget_simple_extent_npoints(space.get());
  if (elements < 0 || static_cast<uint64_t>(elements) > kMaxAttributeElements) {
    fail(name, "the attribute's shape cannot be read");
  }
  found.elements = static_cast<size_t>(elements);
  return found;
}

std::optional<int64_t> Hdf5Reader::int64_attribute(const char* name) const {
  const auto found = attribute(group_.get(), name, H5T_INTEGER);
  if (!found) return std::nullopt;
  int64_t value = 0;
  if (found->elements != 1 || H5Aread(found->id.get(), H5T_NATIVE_INT64, &value) < 0) {
    fail(name, "the attribute must be one integer");
  }
  return value;
}

std::optional<std::vector<double>> Hdf5Reader::doubles_attribute(const char* name) const {
  const auto found = attribute(group_.get(), name, H5T_FLOAT);
  if (!found) return std::nullopt;
  std::vector<double> values(found->elements);
  if (H5Aread(found->id.get(), H5T_NATIVE_DOUBLE, values.data()) < 0) {
    fail(name, "the attribute cannot be read");
  }
  return values;
}

std::optional<std::vector<std::string>> Hdf5Reader::strings_attribute(hid_t of,
                                                                      const char* name) const {
  const auto found = attribute(of, name, H5T_STRING);
  if (!found) return std::nullopt;
  const Hdf5Handle space(H5Aget_space(found->id.get()), H5Sclose);
  auto values = read_texts(found->type.get(), space.get(), found->elements, [&](void* out) {
    return H5Aread(found->id.get(), found->type.get(), out) >= 0;
  });
  if (!values) fail(name, "the attribute cannot be read");
  return values;
}

std::optional<std::vector<std::string>> Hdf5Reader::strings_attribute(const char* name) const {
  return strings_attribute(group_.get(), name);
}

std::optional<std::vector<std::string>> Hdf5Reader::strings_attribute(const char* name,
                                                                      const DatasetInfo& of) const {
  return strings_attribute(of.id.get(), name);
}

std::optional<std::vector<std::string>> Hdf5Reader::root_strings_attribute(const char* name) const {
  const Hdf5Handle root(H5Gopen2(file_.get(), "/", H5P_DEFAULT), H5Gclose);
  return strings_attribute(root.get(), name);
}

std::optional<std::string> Hdf5Reader::string_attribute(const char* name) const {
  const auto values = strings_attribute(name);
  if (!values) return std::nullopt;
  if (values->size() != 1) fail(name, "the attribute must be one string");
  return values->front();
}

}  // namespace resnext
