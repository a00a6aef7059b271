// Streams samples to where HDF5 will put `/images`, then lets HDF5 describe them.
//
// HDF5 cannot grow a contiguous dataset, and how many bytes there will be is known at the end only.
// So the samples are written to a file that is not HDF5 yet, behind room for HDF5's first
// structures. At the end these are put there as HDF5 makes them for an empty file, and `/images` is
// created, without being filled, as the first thing that HDF5 allocates. Its offset is then checked
// against where the samples are.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/container_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "comm/common/error.h"
#include "data/container/checksum.h"

namespace resnext {
namespace {

constexpr size_t kBufferBytes = 8 << 20;

// Every dataset begins on a page of its own, however small. The structures use the 1.8 format,
// which allows attributes of more than 64 KiB (the names of many classes), is protected by
// checksums, and is known to all readers in use.
Hdf5Handle file_access() {
  constexpr hsize_t kPage = 4096;
  Hdf5Handle access = hdf5_file_access();
  H5Pset_alignment(access.get(), 1, kPage);
  H5Pset_small_data_block_size(access.get(), 0);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
  return access;
}

Hdf5Handle open_file(const std::string& path) {
  return {H5Fopen(path.c_str(), H5F_ACC_RDWR, file_access().get()), H5Fclose};
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
  H5Pset_obj_track_times(properties.get(), false);  // the same content, the same bytes
  return {H5Dcreate2(file, name, type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
          H5Dclose};
}

struct EmptyFile {
  std::vector<uint8_t> bytes;
  uint64_t start = 0;  // where its first dataset will begin
};

// As HDF5 makes it: asked from HDF5 itself, with a file of that name that is gone afterwards.
std::optional<EmptyFile> make_empty_file(const std::string& path) {
  const Hdf5Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation.get(), false);
  Hdf5Handle made(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), file_access().get()),
                  H5Fclose);
  if (!made || !made.close()) return std::nullopt;
  EmptyFile empty;
  read_file(path, empty.bytes);
  Hdf5Handle opened = open_file(path);
  {
    const Hdf5Handle images = create_dataset(opened.get(), "images", H5T_STD_U8LE, {1 << 16});
    empty.start = H5Dget_offset(images.get());
  }
  opened.close();
  std::remove(path.c_str());
  if (empty.start == HADDR_UNDEF || empty.start < empty.bytes.size()) return std::nullopt;
  return empty;
}

// The file of that name, which no other program has open to write; -1 with errno where it cannot be
// had, EWOULDBLOCK where another has it. The other may rename it between our two looks.
FileDescriptor open_and_lock(const std::string& path) {
  for (;;) {
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (file.get() < 0 || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (file.get() >= 0 && errno != EWOULDBLOCK) return file;  // a file system without locks
      return FileDescriptor();
    }
    struct stat ours {
    }, named{};
    if (::fstat(file.get(), &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
        ours.st_ino == named.st_ino) {
      return file;
    }
  }
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

bool write_attributes(hid_t file, const ContainerDescription& description,
                      const std::vector<int64_t>& labels) {
  const Hdf5Handle scalar(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle three = list_space(3);
  const Hdf5Handle names_space = list_space(description.class_names.size());
  const Hdf5Handle text = utf8_text();
  const int64_t version = 2;
  const uint32_t crc =
      description_crc32c(labels, description.class_names, description.mean, description.std);
  const char* storage = description.storage == Storage::kRaw ? "raw" : "jpeg";
  const char* order = description.order.c_str();
  std::vector<const char*> names;
  for (const std::string& name : description.class_names) names.push_back(name.c_str());
  return write_attribute(file, "format_version", H5T_STD_I64LE, H5T_NATIVE_INT64, scalar.get(),
                         &version) &&
         write_attribute(file, "storage", text.get(), text.get(), scalar.get(), &storage) &&
         (description.order.empty() ||
          write_attribute(file, "order", text.get(), text.get(), scalar.get(), &order)) &&
         write_attribute(file, "class_names", text.get(), text.get(), names_space.get(),
                         names.data()) &&
         write_attribute(file, "mean", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, three.get(),
                         description.mean.data()) &&
         write_attribute(file, "std", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, three.get(),
                         description.std.data()) &&
         write_attribute(file, "description_crc32c", H5T_STD_U32LE, H5T_NATIVE_UINT32, scalar.get(),
                         &crc);
}

}  // namespace

ContainerWriter::ContainerWriter(std::string path)
    : path_(std::move(path)), partial_(partial_path(path_)), data_(open_and_lock(partial_)) {
  if (data_.get() < 0 && errno == EWOULDBLOCK) {
    throw ConfigError(path_, "is being packed by another program",
                      "wait until that has ended, or give another name");
  }
  if (data_.get() < 0) fail(std::string("cannot create the file: ") + std::strerror(errno));
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  auto empty = make_empty_file(partial_ + ".head");
  if (!empty) fail("HDF5 cannot create the file");
  head_ = std::move(empty->bytes);
  start_ = empty->start;
  buffer_.reserve(kBufferBytes);
}

ContainerWriter::~ContainerWriter() {
  if (data_.get() >= 0 && !kept_ && !finished_) std::remove(partial_.c_str());
}

void ContainerWriter::fail(const std::string& why) const {
  throw OutputError(path_, why, "check the folder, its permissions and the free space");
}

bool ContainerWriter::resume(std::span<const WrittenSample> samples) {
  uint64_t bytes = 0;
  for (const WrittenSample& sample : samples) bytes += sample.bytes;
  struct stat status {};
  if (::fstat(data_.get(), &status) != 0 ||
      static_cast<uint64_t>(status.st_size) < start_ + bytes) {
    return false;
  }
  for (const WrittenSample& sample : samples) add(sample.bytes, sample.crc, sample.label);
  written_ = bytes;
  return true;
}

void ContainerWriter::add(uint64_t bytes, uint32_t crc, int64_t label) {
  offsets_.push_back(offsets_.back() + bytes);
  labels_.push_back(label);
  crcs_.push_back(crc);
}

void ContainerWriter::append(std::span<const uint8_t> bytes, int64_t label) {
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  add(bytes.size(), crc32c(bytes), label);
}

void ContainerWriter::write_all(std::span<const uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put =
        ::pwrite(data_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail(std::string("cannot write: ") + std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
}

void ContainerWriter::flush() {
  write_all(buffer_, start_ + written_);
  written_ += buffer_.size();
  buffer_.clear();
}

void ContainerWriter::save() {
  flush();
  if (::fdatasync(data_.get()) != 0) fail(std::string("cannot write: ") + std::strerror(errno));
}

void ContainerWriter::write_datasets(hid_t file, const ContainerDescription& description) const {
  std::vector<hsize_t> dims = {offsets_.back()};
  if (description.storage == Storage::kRaw) {
    dims = {labels_.size(), static_cast<hsize_t>(description.height),
            static_cast<hsize_t>(description.width), 3};
  }
  const Hdf5Handle images = create_dataset(file, "images", H5T_STD_U8LE, dims);
  if (!images) fail("cannot create /images: " + hdf5_error());
  if (H5Dget_offset(images.get()) != start_) {
    throw Error(ExitCode::kInternal, path_, "HDF5 places /images elsewhere than expected",
                "report this with the version of the HDF5 library");
  }
  bool written = write_list(file, "labels", H5T_STD_I64LE, H5T_NATIVE_INT64, labels_) &&
                 write_list(file, "crc32c", H5T_STD_U32LE, H5T_NATIVE_UINT32, crcs_);
  if (description.storage == Storage::kJpeg) {
    written = written && write_list(file, "offsets", H5T_STD_U64LE, H5T_NATIVE_UINT64, offsets_);
  }
  if (!written) fail("cannot write the lists: " + hdf5_error());
}

void ContainerWriter::write_structures(const ContainerDescription& description) {
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  Hdf5Handle file = open_file(partial_);
  if (!file) fail("cannot describe the samples: " + hdf5_error());
  try {
    write_datasets(file.get(), description);
    if (!write_attributes(file.get(), description, labels_)) {
      fail("cannot write the attributes: " + hdf5_error());
    }
  } catch (const Error&) {
    // On a full disk HDF5 cannot close what it cannot write: the samples make room first, where
    // they are not kept.
    [[maybe_unused]] const bool ignored = kept_ || ::ftruncate(data_.get(), 0) == 0;
    file.close();
    throw;
  }
  if (!file.close()) fail("cannot complete the file: " + hdf5_error());
}

void ContainerWriter::finish(const ContainerDescription& description) {
  if (labels_.empty()) throw DataError(path_, "there is no image to write", "check the source");
  check_class_names(description.class_names, path_);
  flush();
  const std::vector<uint8_t> gap(start_ - head_.size(), 0);
  write_all(head_, 0);
  write_all(gap, head_.size());
  if (::ftruncate(data_.get(), static_cast<off_t>(start_ + written_)) != 0) {
    fail(std::string("cannot write: ") + std::strerror(errno));
  }
  write_structures(description);
  if (::fsync(data_.get()) != 0 || std::rename(partial_.c_str(), path_.c_str()) != 0) {
    fail(std::string("cannot complete the file: ") + std::strerror(errno));
  }
  finished_ = true;
}

}  // namespace resnext
