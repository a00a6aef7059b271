// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/hdf5_storage.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <system_error>
#include <vector>

#include "data/container/hdf5_handle.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 8;  // virtual datasets of virtual datasets

std::vector<hsize_t> dims_of(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> dims(rank > 0 ? static_cast<size_t>(rank) : 0);
  if (rank > 0) H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  return dims;
}

// Where HDF5 looks for a file that another one names.
std::optional<fs::path> find_beside(const fs::path& name, const fs::path& file,
                                    const char* variable) {
  std::vector<fs::path> places;
  if (const char* prefix = std::getenv(variable)) places.emplace_back(fs::path(prefix) / name);
  places.push_back(file.parent_path() / name);
  places.push_back(name);
  std::error_code error;
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place, error)) return place;
  }
  return std::nullopt;
}

std::string missing_chunks(hid_t dataset, hid_t properties) {
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  const std::vector<hsize_t> dims = dims_of(space.get());
  std::vector<hsize_t> chunk(dims.size(), 1);
  H5Pget_chunk(properties, static_cast<int>(chunk.size()), chunk.data());
  hsize_t wanted = 1, present = 0;
  for (size_t i = 0; i < dims.size(); ++i) wanted *= (dims[i] + chunk[i] - 1) / chunk[i];
  if (H5Dget_num_chunks(dataset, space.get(), &present) < 0) return "its chunks cannot be counted";
  if (present >= wanted) return "";
  return "only " + std::to_string(present) + " of its " + std::to_string(wanted) +
         " chunks were ever written";
}

std::string missing_external(hid_t dataset, hid_t properties, const fs::path& file) {
  uint64_t bytes = 0;
  for (int i = 0; i < H5Pget_external_count(properties); ++i) {
    std::string name(4096, '\0');
    off_t offset = 0;
    hsize_t size = 0;
    H5Pget_external(properties, static_cast<unsigned>(i), name.size() - 1, name.data(), &offset,
                    &size);
    name.resize(name.find('\0'));
    const auto found = find_beside(name, file, "HDF5_EXTFILE_PREFIX");
    if (!found) return "its external file " + name + " is not there";
    const uint64_t length = fs::file_size(*found);
    const auto begin = static_cast<uint64_t>(offset);
    if (size != H5S_UNLIMITED && length < begin + size) {
      return "its external file " + name + " is too short";
    }
    bytes += size == H5S_UNLIMITED ? length - std::min(length, begin) : size;
  }
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  const auto elements = static_cast<uint64_t>(H5Sget_simple_extent_npoints(space.get()));
  return bytes < elements * H5Tget_size(type.get()) ? "its external files are too short" : "";
}

std::string missing(hid_t dataset, const std::string& file, int depth);

// A part of a virtual dataset.
struct Mapping {
  std::string file;
  std::string dataset;
  Hdf5Handle selected;  // in the source
  hssize_t elements;    // of the virtual dataset that it gives
};

template <typename Get>
std::string text_of(const Get& get) {
  const ssize_t length = get(nullptr, 0);
  if (length <= 0) return "";
  std::string text(static_cast<size_t>(length) + 1, '\0');
  get(text.data(), text.size());
  text.resize(static_cast<size_t>(length));
  return text;
}

Mapping mapping_of(hid_t properties, size_t i) {
  const Hdf5Handle part(H5Pget_virtual_vspace(properties, i), H5Sclose);
  return {text_of([&](char* out, size_t size) {
            return H5Pget_virtual_filename(properties, i, out, size);
          }),
          text_of([&](char* out, size_t size) {
            return H5Pget_virtual_dsetname(properties, i, out, size);
          }),
          {H5Pget_virtual_srcspace(properties, i), H5Sclose},
          H5Sget_select_npoints(part.get())};
}

// Whether what the mapping selects lies within the source, whose extent is `space`.
bool holds(hid_t space, const Mapping& mapping) {
  if (H5Sget_select_type(mapping.selected.get()) != H5S_SEL_HYPERSLABS) {  // all of it
    return H5Sget_simple_extent_npoints(space) >= mapping.elements;
  }
  const std::vector<hsize_t> dims = dims_of(space);
  std::vector<hsize_t> low(dims.size()), high(dims.size());
  const int rank = H5Sget_simple_extent_ndims(mapping.selected.get());
  if (rank != static_cast<int>(dims.size()) ||
      H5Sget_select_bounds(mapping.selected.get(), low.data(), high.data()) < 0) {
    return false;
  }
  return std::ranges::equal(high, dims, std::less());
}

std::string missing_in_source(const Mapping& mapping, const std::string& file, int depth) {
  const std::string name = mapping.file + ":" + mapping.dataset;
  if (name.find('%') != std::string::npos) {
    return "its sources have a pattern as their name, " + name + ", which cannot be checked";
  }
  std::optional<fs::path> path = fs::path(file);
  if (mapping.file != ".") path = find_beside(mapping.file, file, "HDF5_VDS_PREFIX");
  if (!path) return "its source " + mapping.file + " is not there";
  const Hdf5Handle access = hdf5_file_access();
  const Hdf5Handle source(H5Fopen(path->c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
  if (!source) return "its source " + mapping.file + " cannot be opened";
  const Hdf5Handle dataset(H5Dopen2(source.get(), mapping.dataset.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset) return "its source " + name + " is not there";
  const Hdf5Handle space(H5Dget_space(dataset.get()), H5Sclose);
  if (!holds(space.get(), mapping)) return "its source " + name + " is too short";
  const std::string why = missing(dataset.get(), path->string(), depth + 1);
  return why.empty() ? "" : "of its source " + name + ", " + why;
}

std::string missing_virtual(hid_t dataset, hid_t properties, const std::string& file, int depth) {
  if (depth == kDeepest) return "its sources refer to each other";
  size_t mappings = 0;
  if (H5Pget_virtual_count(properties, &mappings) < 0) return "its sources cannot be listed";
  hssize_t mapped = 0;
  for (size_t i = 0; i < mappings; ++i) {
    const Mapping mapping = mapping_of(properties, i);
    mapped += mapping.elements;
    const std::string why = missing_in_source(mapping, file, depth);
    if (!why.empty()) return why;
  }
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  const hssize_t all = H5Sget_simple_extent_npoints(space.get());
  if (mapped >= all) return "";
  return "only " + std::to_string(mapped) + " of its " + std::to_string(all) +
         " elements have a source";
}

std::string missing(hid_t dataset, const std::string& file, int depth) {
  const Hdf5Handle properties(H5Dget_create_plist(dataset), H5Pclose);
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  if (H5Sget_simple_extent_npoints(space.get()) == 0) return "";
  if (H5Pget_external_count(properties.get()) > 0) {
    return missing_external(dataset, properties.get(), file);
  }
  switch (H5Pget_layout(properties.get())) {
    case H5D_VIRTUAL:
      return missing_virtual(dataset, properties.get(), file, depth);
    case H5D_CHUNKED:
      return missing_chunks(dataset, properties.get());
    case H5D_CONTIGUOUS:
      return H5Dget_storage_size(dataset) == 0 ? "it was never written" : "";
    default:
      return "";
  }
}

}  // namespace

std::string missing_filter(hid_t dataset) {
  const Hdf5Handle properties(H5Dget_create_plist(dataset), H5Pclose);
  for (int i = 0; i < H5Pget_nfilters(properties.get()); ++i) {
    unsigned flags = 0;
    size_t values = 0;
    std::string name(256, '\0');
    const H5Z_filter_t filter = H5Pget_filter2(properties.get(), static_cast<unsigned>(i), &flags,
                                               &values, nullptr, name.size(), name.data(), nullptr);
    if (filter < 0 || H5Zfilter_avail(filter) > 0) continue;
    return std::string(name.c_str()) + " (filter " + std::to_string(filter) + ")";
  }
  return "";
}

std::string missing_storage(hid_t dataset, const std::string& file) {
  return missing(dataset, file, 0);
}

}  // namespace resnext
