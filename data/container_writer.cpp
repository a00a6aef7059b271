// Streams samples to where HDF5 will put `/images`, then lets HDF5 describe them.
//
// HDF5 cannot grow a contiguous dataset, and how many bytes there will be is known at the end only.
// So the file is created empty, the samples are written behind its first structures, and `/images`
// is created last, without being filled, as the first thing that HDF5 allocates. Its offset is then
// checked against where the samples are.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "comm/common/error.h"
#include "data/checksum.h"

namespace resnext {
namespace {

constexpr size_t kBufferBytes = 8 << 20;

// A file in which every dataset begins on a page of its own, however small. Its structures use the
// 1.8 format, which allows attributes of more than 64 KiB (the names of many classes), is
// protected by checksums, and is known to all readers in use.
Hdf5Handle create_file(const std::string& path) {
  constexpr hsize_t kPage = 4096;
  const Hdf5Handle access = hdf5_file_access();
  H5Pset_alignment(access.get(), 1, kPage);
  H5Pset_small_data_block_size(access.get(), 0);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
  return {H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose};
}

// A contiguous dataset with space in the file and no fill values.
Hdf5Handle create_dataset(hid_t file, const char* name, hid_t type,
                          const std::vector<hsize_t>& dims) {
  const Hdf5Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
                         H5Sclose);
  const Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_layout(properties.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  return {H5Dcreate2(file, name, type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
          H5Dclose};
}

// Where `/images` will begin: asked from HDF5 itself, with a small file of the same making.
uint64_t start_of_images(const std::string& path) {
  Hdf5Handle probe = create_file(path);
  if (!probe) return HADDR_UNDEF;
  const Hdf5Handle images = create_dataset(probe.get(), "images", H5T_STD_U8LE, {1 << 16});
  return H5Dget_offset(images.get());
}

template <typename T>
bool write_list(hid_t file, const char* name, hid_t stored, hid_t memory,
                const std::vector<T>& values) {
  const Hdf5Handle data = create_dataset(file, name, stored, {values.size()});
  return data && H5Dwrite(data.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0;
}

bool write_attribute(hid_t file, const char* name, hid_t stored, hid_t memory, hid_t space,
                     const void* values) {
  const Hdf5Handle attribute(H5Acreate2(file, name, stored, space, H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  return attribute && H5Awrite(attribute.get(), memory, values) >= 0;
}

Hdf5Handle utf8_text() {
  Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

Hdf5Handle list_space(size_t length) {
  const hsize_t size = length;
  return {H5Screate_simple(1, &size, nullptr), H5Sclose};
}

}  // namespace

ContainerWriter::ContainerWriter(std::string path)
    : path_(std::move(path)), partial_{partial_path(path_)} {
  // Opened before HDF5 does, because the system's reason for a failure is clearer than HDF5's.
  data_ = FileDescriptor(::open(partial_.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (data_.get() < 0) fail(std::string("cannot create the file: ") + std::strerror(errno));
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  start_ = start_of_images(partial_.path);
  file_ = create_file(partial_.path);
  if (start_ == HADDR_UNDEF || !file_) fail("HDF5 cannot create the file");
  buffer_.reserve(kBufferBytes);
}

std::string ContainerWriter::partial_path(const std::string& path) {
  return path + ".partial-" + std::to_string(::getpid());
}

ContainerWriter::~ContainerWriter() {
  if (!file_) return;
  // On a full disk HDF5 cannot close what it cannot write, so the samples make room first.
  [[maybe_unused]] const int ignored = ::ftruncate(data_.get(), 0);
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  file_.close();
}

ContainerWriter::PartialFile::~PartialFile() {
  std::remove(path.c_str());
}

void ContainerWriter::fail(const std::string& why) const {
  throw OutputError(path_, why, "check the folder, its permissions and the free space");
}

void ContainerWriter::append(std::span<const uint8_t> bytes, int64_t label) {
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  offsets_.push_back(offsets_.back() + bytes.size());
  labels_.push_back(label);
  crcs_.push_back(crc32c(bytes));
}

void ContainerWriter::flush() {
  for (size_t done = 0; done < buffer_.size();) {
    const ssize_t put = ::pwrite(data_.get(), buffer_.data() + done, buffer_.size() - done,
                                 static_cast<off_t>(start_ + written_));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail(std::string("cannot write: ") + std::strerror(errno));
    done += static_cast<size_t>(put);
    written_ += static_cast<uint64_t>(put);
  }
  buffer_.clear();
}

void ContainerWriter::write_images(const ContainerDescription& description) {
  std::vector<hsize_t> dims = {offsets_.back()};
  if (description.storage == Storage::kRaw) {
    dims = {labels_.size(), static_cast<hsize_t>(description.height),
            static_cast<hsize_t>(description.width), 3};
  }
  const Hdf5Handle images = create_dataset(file_.get(), "images", H5T_STD_U8LE, dims);
  if (!images) fail("cannot create /images: " + hdf5_error());
  if (H5Dget_offset(images.get()) != start_) {
    throw Error(ExitCode::kInternal, path_, "HDF5 places /images elsewhere than expected",
                "report this with the version of the HDF5 library");
  }
}

void ContainerWriter::write_attributes(const ContainerDescription& description) {
  const hid_t file = file_.get();
  const Hdf5Handle scalar(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle three = list_space(3);
  const Hdf5Handle names_space = list_space(description.class_names.size());
  const Hdf5Handle text = utf8_text();
  const int64_t version = 2;
  const uint32_t crc =
      description_crc32c(labels_, description.class_names, description.mean, description.std);
  const char* storage = description.storage == Storage::kRaw ? "raw" : "jpeg";
  std::vector<const char*> names;
  for (const std::string& name : description.class_names) names.push_back(name.c_str());
  const bool written =
      write_attribute(file, "format_version", H5T_STD_I64LE, H5T_NATIVE_INT64, scalar.get(),
                      &version) &&
      write_attribute(file, "storage", text.get(), text.get(), scalar.get(), &storage) &&
      write_attribute(file, "class_names", text.get(), text.get(), names_space.get(),
                      names.data()) &&
      write_attribute(file, "mean", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, three.get(),
                      description.mean.data()) &&
      write_attribute(file, "std", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, three.get(),
                      description.std.data()) &&
      write_attribute(file, "description_crc32c", H5T_STD_U32LE, H5T_NATIVE_UINT32, scalar.get(),
                      &crc);
  if (!written) fail("cannot write the attributes: " + hdf5_error());
}

void ContainerWriter::write_structures(const ContainerDescription& description) {
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  write_images(description);
  bool written = write_list(file_.get(), "labels", H5T_STD_I64LE, H5T_NATIVE_INT64, labels_) &&
                 write_list(file_.get(), "crc32c", H5T_STD_U32LE, H5T_NATIVE_UINT32, crcs_);
  if (description.storage == Storage::kJpeg) {
    written =
        written && write_list(file_.get(), "offsets", H5T_STD_U64LE, H5T_NATIVE_UINT64, offsets_);
  }
  if (!written) fail("cannot write the lists: " + hdf5_error());
  write_attributes(description);
  if (!file_.close()) fail("cannot complete the file: " + hdf5_error());
}

void ContainerWriter::finish(const ContainerDescription& description) {
  if (labels_.empty()) throw DataError(path_, "there is no image to write", "check the source");
  check_class_names(description.class_names, path_);
  flush();
  write_structures(description);
  if (::fsync(data_.get()) != 0 || std::rename(partial_.path.c_str(), path_.c_str()) != 0) {
    fail(std::string("cannot complete the file: ") + std::strerror(errno));
  }
}

}  // namespace resnext
