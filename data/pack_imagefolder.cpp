// A folder of class folders to a container, with all cores.
// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "comm/common/error.h"
#include "data/container_writer.h"
#include "data/crop.h"
#include "data/file.h"
#include "data/image_decoder.h"
#include "data/image_name.h"
#include "data/jpeg_encoder.h"
#include "data/ordered_parallel.h"
#include "data/packer.h"
#include "data/resample.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

struct Listing {
  std::vector<std::string> class_names;
  std::vector<std::pair<std::string, int64_t>> files;  // path, label
  int64_t ignored = 0;
};

void add_class(const fs::path& folder, Listing& listing) {
  std::vector<std::string> paths;
  const auto options = fs::directory_options::follow_directory_symlink;
  for (const auto& entry : fs::recursive_directory_iterator(folder, options)) {
    if (entry.is_directory()) continue;
    if (has_image_name(entry.path())) {
      paths.push_back(entry.path());
    } else {
      ++listing.ignored;
    }
  }
  if (paths.empty()) {
    throw DataError(folder.string(), "the class has no .jpg, .jpeg or .png file",
                    "remove the folder or add images");
  }
  std::sort(paths.begin(), paths.end());
  const auto label = static_cast<int64_t>(listing.class_names.size());
  listing.class_names.push_back(folder.filename());
  for (std::string& path : paths) listing.files.emplace_back(std::move(path), label);
}

Listing list_folder(const std::string& folder) try {
  std::vector<fs::path> classes;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) classes.push_back(entry.path());
  }
  if (classes.empty()) {
    throw DataError(folder, "has no class folders",
                    "name the folder that holds one for each class");
  }
  std::sort(classes.begin(), classes.end());
  Listing listing;
  for (const fs::path& each : classes) add_class(each, listing);
  return listing;
} catch (const fs::filesystem_error& error) {
  throw DataError(folder, std::string("cannot be listed: ") + error.code().message(),
                  "check the path and its permissions");
}

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

}  // namespace

void pack_imagefolder(const ImageFolderSource& source, const std::string& out,
                      const PackObserver& observer) {
  check_options(source);
  Listing listing = list_folder(source.folder);
  if (listing.ignored > 0) {
    observer.warning(std::to_string(listing.ignored) +
                     " files are not named .jpg, .jpeg or .png and are left out");
  }
  ContainerWriter writer(out);
  const auto total = static_cast<int64_t>(listing.files.size());
  const auto produce = [&](int64_t i) {
    return pack_file(source, listing.files[static_cast<size_t>(i)].first);
  };
  ordered_parallel(total, source.threads, produce, [&](int64_t i, const Packed& packed) {
    const auto& [path, label] = listing.files[static_cast<size_t>(i)];
    if (packed.damage.empty()) {
      writer.append(packed.bytes, label);
    } else if (source.skip_damaged) {
      observer.warning(path + ": " + packed.damage + "; left out");
    } else {
      throw DataError(path, packed.damage, "remove it, or leave such files out: --on-error skip");
    }
    observer.progress(i + 1, total);
  });
  const int64_t damaged = total - writer.count();
  if (writer.count() == 0) {
    throw DataError(source.folder, "all " + std::to_string(damaged) + " files are damaged",
                    "check the source");
  }
  if (damaged > 0) observer.warning(std::to_string(damaged) + " damaged files are left out");
  ContainerDescription description;
  description.storage = source.storage;
  description.height = description.width = source.size;
  description.class_names = std::move(listing.class_names);
  writer.finish(description);
}

}  // namespace resnext
