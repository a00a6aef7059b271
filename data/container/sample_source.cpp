// The three ways to read a stored sample.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/sample_source.h"

#include <utility>

#include "comm/common/error.h"
#include "data/container/file.h"
#include "data/image/image_decoder.h"

namespace resnext {
namespace {

class FixedSizeSource final : public SampleSource {
 public:
  FixedSizeSource(const std::string& path, uint64_t start, uint64_t sample_bytes)
      : file_(path), start_(start), sample_bytes_(sample_bytes) {}

  void read(int64_t index, std::vector<uint8_t>& bytes) const override {
    bytes.resize(sample_bytes_);
    file_.read_at(start_ + static_cast<uint64_t>(index) * sample_bytes_, bytes);
  }
  std::optional<FilePiece> piece(int64_t first, int64_t last) const override {
    return FilePiece{&file_, start_ + static_cast<uint64_t>(first) * sample_bytes_,
                     static_cast<uint64_t>(last - first) * sample_bytes_};
  }

 private:
  InputFile file_;
  uint64_t start_;
  uint64_t sample_bytes_;
};

class IndexedSource final : public SampleSource {
 public:
  IndexedSource(const std::string& path, uint64_t start, std::vector<uint64_t> offsets)
      : file_(path), start_(start), offsets_(std::move(offsets)) {}

  void read(int64_t index, std::vector<uint8_t>& bytes) const override {
    const auto i = static_cast<size_t>(index);
    bytes.resize(offsets_[i + 1] - offsets_[i]);
    file_.read_at(start_ + offsets_[i], bytes);
  }
  std::optional<FilePiece> piece(int64_t first, int64_t last) const override {
    const uint64_t begin = offsets_[static_cast<size_t>(first)];
    return FilePiece{&file_, start_ + begin, offsets_[static_cast<size_t>(last)] - begin};
  }

 private:
  InputFile file_;
  uint64_t start_;
  std::vector<uint64_t> offsets_;
};

class Hdf5Source final : public SampleSource {
 public:
  Hdf5Source(std::string path, DatasetInfo images, std::vector<uint64_t> offsets)
      : path_(std::move(path)), images_(std::move(images)), offsets_(std::move(offsets)) {}

  ~Hdf5Source() override {
    const auto lock = lock_hdf5();
    images_.id.close();
  }

  void read(int64_t index, std::vector<uint8_t>& bytes) const override {
    const auto lock = lock_hdf5();
    const Hdf5ErrorsSilenced silenced;
    const bool done = images_.is_vlen_uint8 ? read_sequence(index, bytes) : read_slab(index, bytes);
    if (done && !bytes.empty()) return;
    throw DataError(path_ + ":" + images_.name,
                    "sample " + std::to_string(index) +
                        (done ? " is empty" : " cannot be read: " + hdf5_error()),
                    "copy or make the file again");
  }

 private:
  // The part of the file's dataspace that holds the sample.
  Hdf5Handle select(int64_t index) const {
    std::vector<hsize_t> first(images_.dims.size(), 0);
    std::vector<hsize_t> size(images_.dims.begin(), images_.dims.end());
    const auto i = static_cast<size_t>(index);
    first[0] = offsets_.empty() ? i : offsets_[i];
    size[0] = offsets_.empty() ? 1 : offsets_[i + 1] - offsets_[i];
    Hdf5Handle space(H5Dget_space(images_.id.get()), H5Sclose);
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, first.data(), nullptr, size.data(), nullptr);
    return space;
  }

  bool read_slab(int64_t index, std::vector<uint8_t>& bytes) const {
    const Hdf5Handle space = select(index);
    const hsize_t size = static_cast<hsize_t>(H5Sget_select_npoints(space.get()));
    const Hdf5Handle memory(H5Screate_simple(1, &size, nullptr), H5Sclose);
    bytes.resize(size);
    return H5Dread(images_.id.get(), H5T_NATIVE_UINT8, memory.get(), space.get(), H5P_DEFAULT,
                   bytes.data()) >= 0;
  }

  bool read_sequence(int64_t index, std::vector<uint8_t>& bytes) const {
    const Hdf5Handle space = select(index);
    const hsize_t one = 1;
    const Hdf5Handle memory(H5Screate_simple(1, &one, nullptr), H5Sclose);
    const Hdf5Handle type(H5Tvlen_create(H5T_NATIVE_UINT8), H5Tclose);
    hvl_t sequence{0, nullptr};
    if (H5Dread(images_.id.get(), type.get(), memory.get(), space.get(), H5P_DEFAULT, &sequence) <
        0) {
      return false;
    }
    const auto* data = static_cast<const uint8_t*>(sequence.p);
    bytes.assign(data, data + sequence.len);
    H5Dvlen_reclaim(type.get(), memory.get(), H5P_DEFAULT, &sequence);
    return true;
  }

  std::string path_;
  DatasetInfo images_;
  std::vector<uint64_t> offsets_;
};

class ConvertedSource final : public SampleSource {
 public:
  ConvertedSource(std::string path, DatasetInfo images, const PixelFormat& format, bool rounded)
      : path_(std::move(path)), images_(std::move(images)), format_(format), rounded_(rounded) {}

  ~ConvertedSource() override {
    const auto lock = lock_hdf5();
    images_.id.close();
  }

  void read(int64_t index, std::vector<uint8_t>& bytes) const override try {
    to_rgb(elements(index), format_, rounded_, bytes);
  } catch (const DamagedImage& error) {
    throw DataError(path_ + ":" + images_.name,
                    "sample " + std::to_string(index) + ": " + error.what(),
                    "its images were taken as " + format_.in_words() +
                        "; for the nearest levels make a container: resnext_data pack hdf5 " +
                        path_ + " OUT.h5");
  }

 private:
  std::vector<double> elements(int64_t index) const {
    const auto lock = lock_hdf5();
    const Hdf5ErrorsSilenced silenced;
    std::vector<double> values;
    if (read_doubles(images_, static_cast<uint64_t>(index), 1, values)) return values;
    throw DataError(path_ + ":" + images_.name,
                    "sample " + std::to_string(index) + " cannot be read: " + hdf5_error(),
                    "copy or make the file again");
  }

  std::string path_;
  DatasetInfo images_;
  PixelFormat format_;
  bool rounded_;
};

}  // namespace

std::unique_ptr<SampleSource> fixed_size_source(const std::string& path, uint64_t start,
                                                uint64_t sample_bytes) {
  return std::make_unique<FixedSizeSource>(path, start, sample_bytes);
}

std::unique_ptr<SampleSource> indexed_source(const std::string& path, uint64_t start,
                                             std::vector<uint64_t> offsets) {
  return std::make_unique<IndexedSource>(path, start, std::move(offsets));
}

std::unique_ptr<SampleSource> hdf5_source(const std::string& path, DatasetInfo images,
                                          std::vector<uint64_t> offsets) {
  return std::make_unique<Hdf5Source>(path, std::move(images), std::move(offsets));
}

std::unique_ptr<SampleSource> converted_source(const std::string& path, DatasetInfo images,
                                               const PixelFormat& format, bool rounded) {
  return std::make_unique<ConvertedSource>(path, std::move(images), format, rounded);
}

}  // namespace resnext
