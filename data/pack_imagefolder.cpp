// A folder of class folders to a container, with all cores.
// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <filesystem>
#include <utility>

#include "comm/common/error.h"
#include "data/checksum.h"
#include "data/crop.h"
#include "data/croppable_jpeg.h"
#include "data/file.h"
#include "data/image_decoder.h"
#include "data/image_listing.h"
#include "data/jpeg_encoder.h"
#include "data/ordered_parallel.h"
#include "data/packer.h"
#include "data/png_encoder.h"
#include "data/resample.h"
#include "data/resumable_pack.h"

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

// `image`: what the bytes decode to. Where the new ones would not, the old ones stay.
void store_croppable(std::vector<uint8_t>& bytes, const Image& image) {
  std::vector<uint8_t> croppable = make_croppable(bytes);
  if (croppable.empty()) return;
  Image again;
  decode_image(croppable, again);
  if (again.pixels == image.pixels) bytes = std::move(croppable);
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
    decode_image(packed.bytes, image);
  } else if (!is_stored_unchanged(packed.bytes)) {
    packed.bytes = encode_png(image.view());
  }
  if (source.storage == Storage::kJpeg && source.croppable) {
    store_croppable(packed.bytes, image);
  };
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
      {"--quality", std::to_string(source.quality)},
      {"--jpeg", source.croppable ? "croppable" : "unchanged"},
      {"--on-error", source.skip_damaged ? "skip" : "fail"},
      {"order", describe_order(source.packing, "sorted")}};
}

// Takes what the files become, in order; remembers which could not be used.
class Packing {
 public:
  Packing(const ImageFolderSource& source, const ImageListing& listing,
          const std::vector<int64_t>& order, const std::string& out, const PackObserver& observer)
      : source_(source),
        listing_(listing),
        order_(order),
        observer_(observer),
        pack_(
            out, identity_of(source, listing), [this](int64_t i) { return file(i).second; },
            source.packing, observer) {
    for (const auto& [i, why] : pack_.left_out()) tell(i, why);
  }

  int64_t done() const { return pack_.done(); }
  // Path and label of the i-th file to be packed.
  const std::pair<std::string, int64_t>& file(int64_t i) const {
    return listing_.files[static_cast<size_t>(order_[static_cast<size_t>(i)])];
  }

  void add(int64_t i, const Packed& packed) {
    if (packed.damage.empty()) return pack_.add(packed.bytes);
    pack_.leave_out(packed.damage);
    tell(i, packed.damage);
  }

  void finish() {
    if (damaged_ > kNamed) {
      observer_.warning("and " + std::to_string(damaged_ - kNamed) + " more damaged files");
    }
    if (damaged_ > 0 && (!source_.skip_damaged || pack_.samples() == 0)) {
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
    description.class_names = listing_.class_names;
    description.order =
        describe_order(source_.packing, source_.labels.empty() ? "sorted by class" : "as listed");
    pack_.finish(description);
  }

  void discard() { pack_.discard(); }

 private:
  static constexpr int64_t kNamed = 1000;

  void tell(int64_t i, const std::string& damage) {
    const std::string text = file(i).first + ": " + damage;
    if (damaged_ == 0) first_ = text;
    if (++damaged_ <= kNamed) observer_.warning(text);
  }

  const ImageFolderSource& source_;
  const ImageListing& listing_;
  const std::vector<int64_t>& order_;
  const PackObserver& observer_;
  ResumablePack pack_;
  int64_t damaged_ = 0;
  std::string first_;
};

}  // namespace

void pack_imagefolder(const ImageFolderSource& source, const std::string& out,
                      const PackObserver& observer) {
  check_options(source);
  const ImageListing listing = list_images(source);
  for (const std::string& remark : listing.remarks) observer.warning(remark);
  warn_of_empty_classes(listing, observer);
  const auto total = static_cast<int64_t>(listing.files.size());
  const std::vector<int64_t> order = packing_order(source.packing, total);
  Packing packing(source, listing, order, out, observer);
  const int64_t first = packing.done();
  const auto produce = [&](int64_t i) { return pack_file(source, packing.file(first + i).first); };
  try {
    ordered_parallel(total - first, source.threads, produce, [&](int64_t i, const Packed& packed) {
      packing.add(first + i, packed);
      observer.progress(first + i + 1, total);
    });
    packing.finish();
  } catch (const DataError&) {
    packing.discard();
    throw;
  }
}

}  // namespace resnext
