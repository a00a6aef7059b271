// Opens a container, checks everything that can be checked without reading the samples, and reads.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "comm/common/error.h"
#include "data/checksum.h"
#include "data/file.h"
#include "data/sample_source.h"

namespace resnext {
namespace {

constexpr int64_t kFormatVersion = 2;
// Limits far beyond any real set, so that a damaged header cannot make us ask for absurd memory.
constexpr uint64_t kMaxSamples = uint64_t{1} << 28;
constexpr uint64_t kMaxSide = 1 << 15;
constexpr uint64_t kMaxSampleBytes = uint64_t{1} << 30;
constexpr std::array<double, 3> kImagenetMean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> kImagenetStd = {0.229, 0.224, 0.225};

}  // namespace

struct Container::Impl {
  std::string path;
  bool verify_crc = true;
  int64_t version = 0;      // of the format; 0: made by others
  bool own_format = false;  // made by `resnext_data pack`, so held to the whole format
  Storage storage = Storage::kRaw;
  uint64_t count = 0;
  int64_t classes = 0;
  ClassNames class_names;
  uint64_t height = 0;
  uint64_t width = 0;
  std::array<double, 3> mean = kImagenetMean;
  std::array<double, 3> std = kImagenetStd;
  std::vector<int64_t> labels;
  std::vector<uint64_t> crcs;  // empty: none stored
  bool direct = false;
  std::unique_ptr<SampleSource> source;

  Impl(const std::string& file_path, bool verify);

  [[noreturn]] void fail(const std::string& object, const std::string& what,
                         const std::string& remedy = "pack the file again") const {
    throw DataError(path + (object.empty() ? "" : ":" + object), what, remedy);
  }
  void read_version(const Hdf5Reader& reader);
  DatasetInfo find_images(const Hdf5Reader& reader) const;
  void check_shape(const DatasetInfo& images);
  void check_storage_attribute(const Hdf5Reader& reader) const;
  std::vector<uint64_t> read_offsets(const Hdf5Reader& reader, const DatasetInfo& images);
  void open_samples(const Hdf5Reader& reader);
  std::string find_labels(const Hdf5Reader& reader) const;
  void read_labels(const Hdf5Reader& reader);
  void read_crcs(const Hdf5Reader& reader);
  void read_classes(const Hdf5Reader& reader);
  void check_labels() const;
  void check_description(const Hdf5Reader& reader) const;
  std::array<double, 3> read_colour(const Hdf5Reader& reader, const char* name,
                                    std::array<double, 3> standard) const;
};

Container::Impl::Impl(const std::string& file_path, bool verify)
    : path(file_path), verify_crc(verify) {
  const InputFile readable(path);
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  const Hdf5Reader reader(path);
  read_version(reader);
  open_samples(reader);
  read_labels(reader);
  read_crcs(reader);
  read_classes(reader);
  mean = read_colour(reader, "mean", kImagenetMean);
  std = read_colour(reader, "std", kImagenetStd);
  if (std::ranges::min(std) <= 0) fail("std", "is not above 0", "give each channel's deviation");
  if (version >= 2) check_description(reader);
}

void Container::Impl::read_version(const Hdf5Reader& reader) {
  const auto said = reader.int64_attribute("format_version");
  own_format = said.has_value();
  version = said.value_or(0);
  if (own_format && (version < 1 || version > kFormatVersion)) {
    fail("format_version",
         "is " + std::to_string(version) + ", this program reads up to version " +
             std::to_string(kFormatVersion),
         "pack the file again with this program, or use the program that made it");
  }
}

// `/images`, or in other people's files the only dataset that can be one.
DatasetInfo Container::Impl::find_images(const Hdf5Reader& reader) const {
  if (own_format || reader.has_dataset("images")) return reader.dataset("images");
  std::vector<std::string> candidates;
  for (const std::string& name : reader.dataset_names()) {
    const DatasetInfo info = reader.dataset(name);
    if ((info.is_uint8 && info.dims.size() == 4) || (info.is_vlen_uint8 && info.dims.size() == 1)) {
      candidates.push_back(name);
    }
  }
  if (candidates.size() != 1) {
    fail("", std::to_string(candidates.size()) + " datasets could be the images",
         "name the one to use /images: uint8 [N,H,W,3], or variable-length uint8 [N] of JPEG");
  }
  return reader.dataset(candidates.front());
}

void Container::Impl::check_shape(const DatasetInfo& images) {
  const auto& dims = images.dims;
  if (images.is_uint8 && dims.size() == 4) {
    storage = Storage::kRaw;
    if (dims[3] != 3) fail(images.name, "must be [N,H,W,3], RGB last", "store the images so");
    height = dims[1];
    width = dims[2];
    if (height == 0 || width == 0 || height > kMaxSide || width > kMaxSide ||
        height * width * 3 > kMaxSampleBytes) {
      fail(images.name, "images of " + std::to_string(height) + "x" + std::to_string(width));
    }
    count = dims[0];
  } else if ((images.is_uint8 || images.is_vlen_uint8) && dims.size() == 1) {
    storage = Storage::kJpeg;
    count = dims[0];  // for bytes with /offsets corrected by read_offsets()
  } else {
    fail(images.name, "must be uint8 [N,H,W,3] or encoded images as bytes",
         "convert it to 8-bit RGB");
  }
}

void Container::Impl::check_storage_attribute(const Hdf5Reader& reader) const {
  if (!own_format) return;
  const auto text = reader.string_attribute("storage");
  if (text != (storage == Storage::kRaw ? "raw" : "jpeg")) {
    fail("storage", "is '" + text.value_or("missing") + "', which /images does not agree with");
  }
}

std::vector<uint64_t> Container::Impl::read_offsets(const Hdf5Reader& reader,
                                                    const DatasetInfo& images) {
  if (!images.is_uint8 || images.dims.size() != 1) return {};
  const DatasetInfo info = reader.dataset("offsets");
  if (info.dims.size() != 1 || info.dims[0] == 0 || info.dims[0] - 1 > kMaxSamples) {
    fail("offsets", "must be uint64 [N+1]");
  }
  std::vector<uint64_t> offsets = reader.uint64s(info);
  count = offsets.size() - 1;
  if (offsets.front() != 0 || offsets.back() != images.dims[0]) {
    fail("offsets", "must begin with 0 and end with the bytes of /images");
  }
  for (size_t i = 0; i < count; ++i) {
    if (offsets[i] >= offsets[i + 1] || offsets[i + 1] - offsets[i] > kMaxSampleBytes) {
      fail("offsets", "is not ascending at index " + std::to_string(i));
    }
  }
  return offsets;
}

void Container::Impl::open_samples(const Hdf5Reader& reader) {
  DatasetInfo images = find_images(reader);
  check_shape(images);
  check_storage_attribute(reader);
  std::vector<uint64_t> offsets = read_offsets(reader, images);
  if (count == 0) fail(images.name, "holds no image");
  if (count > kMaxSamples) fail(images.name, std::to_string(count) + " images are too many");
  reader.check_stored(images);
  direct = images.is_uint8 && images.offset.has_value();
  if (!direct) {
    if (own_format) fail(images.name, "is not stored contiguously");
    source = hdf5_source(path, std::move(images), std::move(offsets));
    return;
  }
  const uint64_t sample_bytes = height * width * 3;
  const uint64_t bytes = storage == Storage::kRaw ? count * sample_bytes : images.dims[0];
  const uint64_t file_size = InputFile(path).size();
  if (*images.offset > file_size || bytes > file_size - *images.offset) {
    fail(images.name, "the file ends before its last image",
         "the file is incomplete: copy or pack it again");
  }
  source = storage == Storage::kRaw ? fixed_size_source(path, *images.offset, sample_bytes)
                                    : indexed_source(path, *images.offset, std::move(offsets));
}

// `/labels`, or in other people's files the only list of as many integers.
std::string Container::Impl::find_labels(const Hdf5Reader& reader) const {
  if (own_format || reader.has_dataset("labels")) return "labels";
  std::vector<std::string> candidates;
  for (const std::string& name : reader.dataset_names()) {
    const DatasetInfo info = reader.dataset(name);
    if (info.is_integer && info.dims.size() == 1 && info.dims[0] == count) {
      candidates.push_back(name);
    }
  }
  if (candidates.size() != 1) {
    fail("", std::to_string(candidates.size()) + " datasets could be the labels",
         "name the one to use /labels: int64 [N]");
  }
  return candidates.front();
}

void Container::Impl::read_labels(const Hdf5Reader& reader) {
  const DatasetInfo info = reader.dataset(find_labels(reader));
  if (!info.is_integer || info.dims.size() != 1 || info.dims[0] != count) {
    fail(info.name, "must be " + std::to_string(count) + " integers, one for each image");
  }
  labels = reader.int64s(info);
}

void Container::Impl::read_crcs(const Hdf5Reader& reader) {
  if (!own_format) return;
  const DatasetInfo info = reader.dataset("crc32c");
  if (!info.is_integer || info.element_bytes != 4 || info.dims.size() != 1 ||
      info.dims[0] != count) {
    fail("crc32c", "must be uint32 [" + std::to_string(count) + "]");
  }
  crcs = reader.uint64s(info);
}

void Container::Impl::read_classes(const Hdf5Reader& reader) {
  const auto names = reader.strings_attribute("class_names");
  if (own_format && (!names || names->empty())) fail("class_names", "is missing");
  class_names = names.value_or(ClassNames{});
  check_class_names(class_names, path + ":class_names");
  const auto highest = std::ranges::max_element(labels);
  classes = class_names.empty() ? *highest + 1 : static_cast<int64_t>(class_names.size());
  constexpr int64_t kMaxClasses = 1 << 24;
  if (classes > kMaxClasses) fail("labels", "the largest is " + std::to_string(*highest));
  check_labels();
}

void Container::Impl::check_labels() const {
  const auto [lowest, highest] = std::minmax_element(labels.begin(), labels.end());
  const bool low = *lowest < 0;
  if (!low && *highest < classes) return;
  const auto wrong = low ? lowest : highest;
  fail("labels", "label " + std::to_string(*wrong) + " of sample " +
                     std::to_string(wrong - labels.begin()) + " is not in 0.." +
                     std::to_string(classes - 1));
}

std::array<double, 3> Container::Impl::read_colour(const Hdf5Reader& reader, const char* name,
                                                   std::array<double, 3> standard) const {
  const auto values = reader.doubles_attribute(name);
  if (!values && !own_format) return standard;
  if (!values || values->size() != 3) fail(name, "must be three numbers (RGB)");
  std::array<double, 3> colour{};
  std::copy(values->begin(), values->end(), colour.begin());
  for (const double value : colour) {
    if (value >= 0 && value <= 1) continue;
    fail(name, "has the value " + std::to_string(value) + ", but is of pixels in 0..1",
         value > 1 ? "divide it by 255 where it is of pixels in 0..255" : "give numbers in 0..1");
  }
  return colour;
}

void Container::Impl::check_description(const Hdf5Reader& reader) const {
  const auto stored = reader.int64_attribute("description_crc32c");
  if (!stored) fail("description_crc32c", "is missing");
  if (*stored == description_crc32c(labels, class_names, mean, std)) return;
  fail("", "the checksum of labels, class names, mean and std differs",
       "the file is damaged: copy or pack it again");
}

Container::Container(const std::string& path, bool verify_crc)
    : impl_(std::make_unique<Impl>(path, verify_crc)) {}
Container::~Container() = default;
Container::Container(Container&&) noexcept = default;
Container& Container::operator=(Container&&) noexcept = default;

const std::string& Container::path() const {
  return impl_->path;
}
Storage Container::storage() const {
  return impl_->storage;
}
int64_t Container::count() const {
  return static_cast<int64_t>(impl_->count);
}
int64_t Container::classes() const {
  return impl_->classes;
}
const ClassNames& Container::class_names() const {
  return impl_->class_names;
}
int64_t Container::height() const {
  return static_cast<int64_t>(impl_->height);
}
int64_t Container::width() const {
  return static_cast<int64_t>(impl_->width);
}
std::vector<int64_t> Container::class_counts() const {
  std::vector<int64_t> counts(static_cast<size_t>(impl_->classes), 0);
  for (const int64_t label : impl_->labels) ++counts[static_cast<size_t>(label)];
  return counts;
}
void Container::adopt_classes(const ClassNames& names, const std::vector<int64_t>& places) {
  for (int64_t& label : impl_->labels) label = places.at(static_cast<size_t>(label));
  impl_->class_names = names;
  impl_->classes = static_cast<int64_t>(names.size());
}
std::array<double, 3> Container::mean() const {
  return impl_->mean;
}
std::array<double, 3> Container::std() const {
  return impl_->std;
}
bool Container::direct() const {
  return impl_->direct;
}

int64_t Container::label(int64_t index) const {
  return impl_->labels.at(static_cast<size_t>(index));
}

void Container::read_sample(int64_t index, std::vector<uint8_t>& bytes) const {
  if (index < 0 || index >= count()) {
    impl_->fail("", "has no sample " + std::to_string(index),
                "ask for 0.." + std::to_string(count() - 1));
  }
  impl_->source->read(index, bytes);
  if (!impl_->verify_crc || impl_->crcs.empty()) return;
  if (crc32c(bytes) != impl_->crcs[static_cast<size_t>(index)]) {
    impl_->fail("", "the checksum of sample " + std::to_string(index) + " differs",
                "the file is damaged: copy or pack it again");
  }
}

}  // namespace resnext
