// A folder of class folders to a container.
// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>

#include "comm/common/error.h"
#include "data/augment/crop.h"
#include "data/augment/resample.h"
#include "data/container/checksum.h"
#include "data/container/file.h"
#include "data/container/image_listing.h"
#include "data/image/image_decoder.h"
#include "data/image/jpeg_encoder.h"
#include "data/image/stored_image.h"
#include "data/pack/packer.h"
#include "data/pack/parallel_pack.h"

namespace resnext {
namespace {

ResizePlan plan_of(const Crop& crop) {
  ResizePlan plan;
  plan.box = {0, 0, static_cast<double>(crop.height), static_cast<double>(crop.width)};
  plan.height = crop.resized_height;
  plan.width = crop.resized_width;
  plan.top = crop.out_top;
  plan.left = crop.out_left;
  return plan;
}

std::vector<uint8_t> to_square(const Image& image, int64_t size) {
  std::vector<uint8_t> pixels(static_cast<size_t>(size * size * 3));
  Resampler().resize(image.view(), plan_of(centre_crop(image.height, image.width, size, size)),
                     size, size, pixels.data());
  return pixels;
}

std::vector<uint8_t> to_smaller_jpeg(const Image& image, int64_t size, int quality) {
  const ResizePlan plan = plan_of(centre_crop(image.height, image.width, size, size));
  Image smaller;
  smaller.resize(plan.height, plan.width);
  ResizePlan whole = plan;
  whole.top = whole.left = 0;
  Resampler().resize(image.view(), whole, plan.height, plan.width, smaller.pixels.data());
  return encode_jpeg(smaller.view(), quality);
}

bool is_larger(std::span<const uint8_t> encoded, int64_t size) {
  const ImageSize pixels = read_image_size(encoded);
  return std::min(pixels.height, pixels.width) > size;
}

std::vector<uint8_t> pack_file(const ImageFolderSource& source, const std::string& path) {
  std::vector<uint8_t> bytes;
  read_file(path, bytes);
  const bool raw = source.storage == Storage::kRaw;
  if (raw || (source.size > 0 && is_larger(bytes, source.size))) {
    Image image;
    decode_image(bytes, image);
    if (raw) return to_square(image, source.size);
    bytes = to_smaller_jpeg(image, source.size, source.quality);
  }
  return stored_image(std::move(bytes), source.packing.croppable);
}

void check_options(const ImageFolderSource& source) {
  const bool raw = source.storage == Storage::kRaw;
  constexpr int64_t kMaxSize = 4096;
  if (source.size < (raw ? 1 : 0) || source.size > kMaxSize) {
    throw ConfigError("--size", "must be in 1.." + std::to_string(kMaxSize), "give 256");
  }
  if (source.quality < 1 || source.quality > 100) {
    throw ConfigError("--quality", "must be in 1..100", "give 90");
  }
}

ImageListing list_images(const ImageFolderSource& source) {
  const ClassNames classes =
      source.classes.empty() ? ClassNames{} : read_class_list(source.classes);
  return source.labels.empty() ? list_class_folders(source.folder, classes)
                               : list_labelled_files(source.folder, source.labels, classes);
}

void warn_of_empty_classes(const ImageListing& listing, const PackObserver& observer) {
  std::vector<bool> used(listing.class_names.size(), false);
  for (const auto& [path, label] : listing.files) used[static_cast<size_t>(label)] = true;
  ClassNames empty;
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) empty.push_back(listing.class_names[i]);
  }
  if (empty.empty()) return;
  observer.warning(std::to_string(empty.size()) + " of " + std::to_string(used.size()) +
                   " classes have no image: " + name_some(empty));
}

// What decides about the container; of the files' content, that it did not change.
PackIdentity identity_of(const ImageFolderSource& source, const ImageListing& listing) {
  std::string files, versions;
  for (const auto& [path, label] : listing.files) {
    files += path.substr(source.folder.size()) + '\n' + std::to_string(label) + '\n';
    versions += file_version(path) + '\n';
  }
  std::string classes;
  for (const std::string& name : listing.class_names) classes += name + '\n';
  const auto digest = [](const std::string& text) {
    return std::to_string(crc32c({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  };
  const bool raw = source.storage == Storage::kRaw;
  return {
      {"folder", std::filesystem::weakly_canonical(source.folder).string()},
      {"list of files", std::to_string(listing.files.size()) + " with checksum " + digest(files)},
      {"checksum of the files' sizes and times", digest(versions)},
      {"list of classes",
       std::to_string(listing.class_names.size()) + " with checksum " + digest(classes)},
      {"--storage", raw ? "raw" : "jpeg"},
      {"--size", std::to_string(source.size)},
      {"--quality", std::to_string(source.quality)}};
}

}  // namespace

void pack_imagefolder(const ImageFolderSource& source, const std::string& out,
                      const PackObserver& observer) {
  check_options(source);
  const ImageListing listing = list_images(source);
  for (const std::string& remark : listing.remarks) observer.warning(remark);
  warn_of_empty_classes(listing, observer);
  const auto file = [&](int64_t i) -> const auto& {
    return listing.files[static_cast<size_t>(i)];
  };
  PackInputs inputs;
  inputs.source = source.folder;
  inputs.noun = "files";
  inputs.count = static_cast<int64_t>(listing.files.size());
  inputs.name_of = [&](int64_t i) { return file(i).first; };
  inputs.label_of = [&](int64_t i) { return file(i).second; };
  inputs.sample_of = [&](int64_t i) { return pack_file(source, file(i).first); };
  inputs.identity = identity_of(source, listing);
  ContainerDescription description;
  description.storage = source.storage;
  description.height = description.width = source.size;
  description.class_names = listing.class_names;
  description.order = source.labels.empty() ? "sorted by class" : "as listed";
  pack_inputs(inputs, description, source.packing, out, observer);
}

}  // namespace resnext
