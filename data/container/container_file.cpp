// Opens a file, checks everything that can be checked without reading the samples, and reads.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/container_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "comm/common/error.h"
#include "data/container/checksum.h"
#include "data/container/file.h"
#include "data/container/hdf5_labels.h"
#include "data/container/synthetic_source.h"

namespace resnext {
namespace {

constexpr int64_t kFormatVersion = 2;
// Limits far beyond any real set, so that a damaged header cannot make us ask for absurd memory.
constexpr uint64_t kMaxSamples = uint64_t{1} << 28;
constexpr uint64_t kMaxSide = 1 << 15;
constexpr uint64_t kMaxSampleBytes = uint64_t{1} << 30;

std::string in_words(const DatasetInfo& info) {
  std::string text = info.is_numeric ? "numbers" : info.is_text ? "text" : "no numbers or text";
  for (size_t i = 0; i < info.dims.size(); ++i) {
    text += (i == 0 ? " [" : ",") + std::to_string(info.dims[i]);
  }
  return text + (info.dims.empty() ? "" : "]");
}

}  // namespace

ContainerFile::ContainerFile(const ContainerSource& what, bool verify)
    : from(what),
      address(parse_data_address(what.address)),
      path(address.file),
      verify_crc(verify) {
  const InputFile readable(path);
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  const Hdf5Reader reader(path, address.object);
  read_version(reader);
  open_samples(reader);
  read_labels(reader);
  read_crcs(reader);
  read_classes(reader);
  mean = read_colour(reader, "mean", mean);
  std = read_colour(reader, "std", std);
  if (std::ranges::min(std) <= 0) fail("std", "is not above 0", "give each channel's deviation");
  if (version >= 2) check_description(reader);
  order = reader.string_attribute("order").value_or("");
}

ContainerFile::ContainerFile(const SyntheticSet& set)
    : path(kSynthetic),
      count(static_cast<uint64_t>(set.images)),
      classes(set.classes),
      labels(synthetic_labels(set)),
      source(synthetic_source(set)) {
  format.height = format.width = static_cast<uint64_t>(set.side);
  remarks.push_back(std::to_string(set.images) +
                    " images are synthetic, random pixels and labels: loss, accuracy and weights "
                    "mean nothing, only times do");
}

void ContainerFile::fail(const std::string& object, const std::string& what,
                         const std::string& remedy) const {
  throw DataError(path + (object.empty() ? "" : ":" + object), what, remedy);
}

void ContainerFile::read_version(const Hdf5Reader& reader) {
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

// `/images`, or in other people's files the dataset that is named, or the only one that can be it.
DatasetInfo ContainerFile::find_images(const Hdf5Reader& reader) const {
  if (own_format) return reader.dataset("images");
  if (!from.images.empty()) return reader.dataset(from.images);
  if (reader.has_dataset("images")) return reader.dataset("images");
  ClassNames candidates;
  for (const std::string& name : reader.dataset_names()) {
    const DatasetInfo info = reader.dataset(name);
    const auto shape = format_of_shape(info.dims);
    const bool pixels =
        info.is_numeric && info.dims.size() == 4 && shape && shape->height * shape->width > 1;
    if (pixels || (info.is_vlen_uint8 && info.dims.size() == 1)) candidates.push_back(name);
  }
  if (candidates.empty()) {
    fail("", "no dataset could be the images: there is " + name_some(reader.dataset_names()),
         "name the one that holds them all: data.images=NAME (resnext_data pack hdf5: --images "
         "NAME); where each image is a dataset, write them to class folders for resnext_data pack "
         "imagefolder");
  }
  if (candidates.size() > 1) {
    fail("",
         std::to_string(candidates.size()) +
             " datasets could be the images: " + name_some(candidates),
         "name one of its datasets: data.images=NAME (resnext_data pack hdf5: --images NAME)");
  }
  return reader.dataset(candidates.front());
}

void ContainerFile::check_shape(const DatasetInfo& images) {
  const auto& dims = images.dims;
  if (dims.empty()) fail(images.name, "is a single value", "name the dataset of the images");
  count = dims[0];  // for bytes with /offsets corrected by read_offsets()
  if (dims.size() == 1 && (images.is_uint8 || images.is_vlen_uint8)) {
    storage = Storage::kJpeg;
  } else {
    storage = Storage::kRaw;
    check_raw_shape(images);
  }
}

void ContainerFile::check_raw_shape(const DatasetInfo& images) {
  const auto shape = format_of_shape(images.dims);
  if (!shape || !images.is_numeric || (own_format && !(images.is_uint8 && shape->is_plain()))) {
    if (own_format) fail(images.name, "must be uint8 [N,H,W,3] or encoded images as bytes");
    fail(images.name,
         "is " + in_words(images) +
             ", and must be numbers [N,H,W,C], [N,C,H,W] or [N,H,W] of 1, 3 or 4 channels, or "
             "encoded images as variable-length uint8 [N]",
         "store the images so (h5py: vlen_dtype(numpy.uint8)), or their files in class folders for "
         "resnext_data pack imagefolder");
  }
  format = *shape;
  if (format.height == 0 || format.width == 0 || format.height > kMaxSide ||
      format.width > kMaxSide || format.elements() > kMaxSampleBytes) {
    fail(images.name,
         "images of " + std::to_string(format.height) + "x" + std::to_string(format.width));
  }
}

// Chooses the scale from a few images, spread over the set; reading holds all others to it.
void ContainerFile::check_levels(const Hdf5Reader& reader, const DatasetInfo& images) {
  constexpr uint64_t kLooked = 16;
  double largest = 0, average = 0;
  const uint64_t looked = std::min(kLooked, count);
  for (uint64_t i = 0; i < looked; ++i) {
    const auto values = reader.doubles(images, i * count / looked, 1);
    const auto [low, high] = std::ranges::minmax_element(values);
    if (!(*low >= 0)) {
      fail(images.name, "has the value " + std::to_string(*low) + ", which is no pixel",
           "store the images before they are normalised, in 0..255 or 0..1");
    }
    largest = std::max(largest, *high);
    average += std::accumulate(values.begin(), values.end(), 0.0) /
               static_cast<double>(values.size() * looked);
  }
  format.scale = scale_of(largest, images.is_integer);
  if (!is_too_dark(largest, average, format.scale)) return;
  const std::string seen = fmt::format(
      "{:g} as the largest value of {} images and {:.3g} on average", largest, looked, average);
  if (largest > 0 && !(images.is_integer && format.scale == PixelScale::kLevels)) {
    fail(images.name, "has " + seen + ": in neither 0..1, 0..255 nor 0..65535",
         "scale the images to one of these");
  }
  remarks.push_back(path + ":" + images.name + " has " + seen +
                    ": in 0..255 these images are all but black");
}

void ContainerFile::open_converted(const Hdf5Reader& reader, DatasetInfo images) {
  remarks.push_back(path + ":" + images.name + " is read as " + format.in_words() +
                    ", slowly; a fast container is made by: resnext_data pack hdf5 " +
                    from.address + " OUT.h5");
  source = converted_source(path, std::move(images), format, from.rounded);
}

void ContainerFile::check_storage_attribute(const Hdf5Reader& reader) const {
  if (!own_format) return;
  const auto text = reader.string_attribute("storage");
  if (text != (storage == Storage::kRaw ? "raw" : "jpeg")) {
    fail("storage", "is '" + text.value_or("missing") + "', which /images does not agree with");
  }
}

std::vector<uint64_t> ContainerFile::read_offsets(const Hdf5Reader& reader,
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

void ContainerFile::open_samples(const Hdf5Reader& reader) {
  DatasetInfo images = find_images(reader);
  check_shape(images);
  check_storage_attribute(reader);
  std::vector<uint64_t> offsets = read_offsets(reader, images);
  if (count == 0) fail(images.name, "holds no image");
  if (count > kMaxSamples) fail(images.name, std::to_string(count) + " images are too many");
  reader.check_stored(images);
  if (storage == Storage::kRaw && !own_format) check_levels(reader, images);
  if (storage == Storage::kRaw && !(images.is_uint8 && format.is_plain())) {
    return open_converted(reader, std::move(images));
  }
  direct = images.is_uint8 && images.offset.has_value();
  if (!direct) {
    if (own_format) fail(images.name, "is not stored contiguously");
    source = hdf5_source(path, std::move(images), std::move(offsets));
    return;
  }
  const uint64_t sample_bytes = format.height * format.width * 3;
  const uint64_t bytes = storage == Storage::kRaw ? count * sample_bytes : images.dims[0];
  const uint64_t file_size = InputFile(path).size();
  if (*images.offset > file_size || bytes > file_size - *images.offset) {
    fail(images.name, "the file ends before its last image",
         "the file is incomplete: copy or pack it again");
  }
  source = storage == Storage::kRaw ? fixed_size_source(path, *images.offset, sample_bytes)
                                    : indexed_source(path, *images.offset, std::move(offsets));
}

// `/labels`, or in other people's files the only dataset that can be the labels: of whole numbers,
// else of anything.
std::string ContainerFile::find_labels(const Hdf5Reader& reader) const {
  if (reader.has_dataset("labels")) return "labels";
  ClassNames integers, others;
  for (const std::string& name : reader.dataset_names()) {
    const DatasetInfo info = reader.dataset(name);
    if (!can_be_labels(info, count)) continue;
    (info.is_integer && info.dims.size() == 1 ? integers : others).push_back(name);
  }
  const ClassNames& candidates = integers.empty() ? others : integers;
  if (candidates.size() != 1) {
    fail("",
         std::to_string(candidates.size()) +
             " datasets could be the labels: " + name_some(candidates),
         "name one of its datasets: data.labels=NAME (resnext_data pack hdf5: --labels NAME), or "
         "one of "
         "another file: FILE.h5:/NAME");
  }
  return candidates.front();
}

void ContainerFile::read_own_labels(const Hdf5Reader& reader) {
  const DatasetInfo info = reader.dataset("labels");
  if (!info.is_integer || info.dims.size() != 1 || info.dims[0] != count) {
    fail(info.name, "must be " + std::to_string(count) + " integers, one for each image");
  }
  labels = reader.int64s(info);
}

void ContainerFile::take_labels(const Hdf5Reader& reader, const std::string& name,
                                const ClassNames& otherwise) {
  const DatasetInfo info = reader.dataset(name);
  const ClassNames names = find_class_names(reader, info);
  Hdf5Labels read = read_hdf5_labels(reader, info, count, names.empty() ? otherwise : names);
  labels = std::move(read.labels);
  class_names = std::move(read.class_names);
  classes = read.classes;
}

void ContainerFile::read_labels(const Hdf5Reader& reader) {
  if (own_format) return read_own_labels(reader);
  const DataAddress other = parse_data_address(from.labels);
  if (other.object == "/") {
    return take_labels(reader, from.labels.empty() ? find_labels(reader) : from.labels, {});
  }
  const InputFile readable(other.file);
  take_labels(Hdf5Reader(other.file), other.object,
              reader.strings_attribute("class_names").value_or(ClassNames{}));
}

void ContainerFile::read_crcs(const Hdf5Reader& reader) {
  if (!own_format) return;
  const DatasetInfo info = reader.dataset("crc32c");
  if (!info.is_integer || info.element_bytes != 4 || info.dims.size() != 1 ||
      info.dims[0] != count) {
    fail("crc32c", "must be uint32 [" + std::to_string(count) + "]");
  }
  crcs = reader.uint64s(info);
}

void ContainerFile::read_classes(const Hdf5Reader& reader) {
  if (own_format) {
    class_names = reader.strings_attribute("class_names").value_or(ClassNames{});
    if (class_names.empty()) fail("class_names", "is missing");
  }
  check_class_names(class_names, path + ":class_names");
  const auto highest = std::ranges::max_element(labels);
  classes = class_names.empty() ? std::max(classes, *highest + 1)
                                : static_cast<int64_t>(class_names.size());
  constexpr int64_t kMaxClasses = 1 << 24;
  if (classes > kMaxClasses) fail("labels", "the largest is " + std::to_string(*highest));
  check_labels();
}

void ContainerFile::check_labels() const {
  const auto [lowest, highest] = std::minmax_element(labels.begin(), labels.end());
  const bool low = *lowest < 0;
  if (!low && *highest < classes) return;
  const auto wrong = low ? lowest : highest;
  const std::string range = low ? "below 0" : "not in 0.." + std::to_string(classes - 1);
  fail("labels",
       "label " + std::to_string(*wrong) + " of sample " + std::to_string(wrong - labels.begin()) +
           " is " + range,
       own_format ? "pack the file again"
                  : "number the classes from 0, in the order of their names");
}

std::array<double, 3> ContainerFile::read_colour(const Hdf5Reader& reader, const char* name,
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

void ContainerFile::check_description(const Hdf5Reader& reader) const {
  const auto stored = reader.int64_attribute("description_crc32c");
  if (!stored) fail("description_crc32c", "is missing");
  if (*stored == description_crc32c(labels, class_names, mean, std)) return;
  fail("", "the checksum of labels, class names, mean and std differs",
       "the file is damaged: copy or pack it again");
}

void ContainerFile::read_sample(int64_t index, std::vector<uint8_t>& bytes) const {
  source->read(index, bytes);
  if (!verify_crc || crcs.empty()) return;
  if (crc32c(bytes) != crcs[static_cast<size_t>(index)]) {
    fail("", "the checksum of sample " + std::to_string(index) + " differs",
         "the file is damaged: copy or pack it again");
  }
}

}  // namespace resnext
