// A folder of class folders to a container, with all cores.
// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <utility>

#include "comm/common/error.h"
#include "data/container_writer.h"
#include "data/crop.h"
#include "data/file.h"
#include "data/image_decoder.h"
#include "data/image_listing.h"
#include "data/jpeg_encoder.h"
#include "data/ordered_parallel.h"
#include "data/packer.h"
#include "data/resample.h"

namespace resnext {
namespace {

// What one file becomes, or why it cannot.
struct Packed {
  std::vector<uint8_t> bytes;
  std::string damage;
};

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

Packed pack_file(const ImageFolderSource& source, const std::string& path) try {
  Packed packed;
  read_file(path, packed.bytes);
  Image image;
  decode_image(packed.bytes, image);
  if (source.storage == Storage::kRaw) {
    packed.bytes = to_square(image, source.size);
  } else if (source.size > 0 && std::min(image.height, image.width) > source.size) {
    packed.bytes = to_smaller_jpeg(image, source.size, source.quality);
  }
  return packed;
} catch (const DamagedImage& error) {
  return {{}, error.what()};
} catch (const DataError& error) {
  return {{}, error.what()};
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
  if (source.threads < 1) throw ConfigError("--threads", "must be positive", "give 1 or more");
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

// Takes what the files become, in order; remembers which could not be used.
class Packing {
 public:
  Packing(const ImageFolderSource& source, const std::string& out, const PackObserver& observer)
      : source_(source), observer_(observer), writer_(out) {}

  void add(const std::string& path, int64_t label, const Packed& packed) {
    if (!packed.damage.empty()) {
      if (damaged_ == 0) first_ = path + ": " + packed.damage;
      if (++damaged_ <= kNamed) observer_.warning(path + ": " + packed.damage);
    } else if (damaged_ == 0 || source_.skip_damaged) {  // else nothing will be written
      writer_.append(packed.bytes, label);
    }
  }

  void finish(ClassNames class_names) {
    if (damaged_ > kNamed) {
      observer_.warning("and " + std::to_string(damaged_ - kNamed) + " more damaged files");
    }
    if (damaged_ > 0 && (!source_.skip_damaged || writer_.count() == 0)) {
      throw DataError(source_.folder,
                      std::to_string(damaged_) + " files are damaged, the first " + first_,
                      source_.skip_damaged ? "check the source"
                                           : "remove them, or leave them out: --on-error skip");
    }
    if (damaged_ > 0) {
      observer_.warning(std::to_string(damaged_) + " damaged files are left out");
    }
    ContainerDescription description;
    description.storage = source_.storage;
    description.height = description.width = source_.size;
    description.class_names = std::move(class_names);
    writer_.finish(description);
  }

 private:
  static constexpr int64_t kNamed = 1000;

  const ImageFolderSource& source_;
  const PackObserver& observer_;
  ContainerWriter writer_;
  int64_t damaged_ = 0;
  std::string first_;
};

}  // namespace

void pack_imagefolder(const ImageFolderSource& source, const std::string& out,
                      const PackObserver& observer) {
  check_options(source);
  ImageListing listing = list_images(source);
  for (const std::string& left_out : listing.left_out) observer.warning(left_out);
  warn_of_empty_classes(listing, observer);
  Packing packing(source, out, observer);
  const auto total = static_cast<int64_t>(listing.files.size());
  const auto produce = [&](int64_t i) {
    return pack_file(source, listing.files[static_cast<size_t>(i)].first);
  };
  ordered_parallel(total, source.threads, produce, [&](int64_t i, const Packed& packed) {
    const auto& [path, label] = listing.files[static_cast<size_t>(i)];
    packing.add(path, label, packed);
    observer.progress(i + 1, total);
  });
  packing.finish(std::move(listing.class_names));
}

}  // namespace resnext
