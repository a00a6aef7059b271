// resnext_data's verify and inspect.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/inspection.h"

#include <fmt/format.h>

#include <algorithm>

#include "comm/common/error.h"
#include "data/container/container.h"
#include "data/image/image_decoder.h"
#include "data/loader/ordered_parallel.h"

namespace resnext {
namespace {

// What is wrong with a sample; empty when nothing is.
std::string check_sample(const Container& container, int64_t index) try {
  std::vector<uint8_t> bytes;
  container.read_sample(index, bytes);
  Image image;
  if (container.storage() == Storage::kJpeg) decode_image(bytes, image);
  return {};
} catch (const DamagedImage& error) {
  return fmt::format("sample {}: {}", index, error.what());
} catch (const DataError& error) {
  return error.what();
}

ImageSize size_of_sample(const Container& container, int64_t index) try {
  std::vector<uint8_t> bytes;
  container.read_sample(index, bytes);
  return read_image_size(bytes);
} catch (const DamagedImage& error) {
  throw DataError(container.path(), fmt::format("sample {}: {}", index, error.what()),
                  "`resnext_data verify` lists all damaged samples");
}

// Smallest and largest of up to a thousand encoded images, spread over the container.
std::string describe_sizes(const Container& container) {
  if (container.storage() == Storage::kRaw) {
    return fmt::format("{}x{}", container.height(), container.width());
  }
  constexpr int64_t kLooked = 1000;
  const int64_t looked = std::min(kLooked, container.count());
  ImageSize low{kMaxPixels, kMaxPixels};
  ImageSize high;
  for (int64_t i = 0; i < looked; ++i) {
    const ImageSize size = size_of_sample(container, i * container.count() / looked);
    low = {std::min(low.height, size.height), std::min(low.width, size.width)};
    high = {std::max(high.height, size.height), std::max(high.width, size.width)};
  }
  return fmt::format("height {}..{}, width {}..{} ({} images looked at)", low.height, high.height,
                     low.width, high.width, looked);
}

std::string describe_classes(const Container& container) {
  const std::vector<int64_t> sizes = container.class_counts();
  const auto [low, high] = std::minmax_element(sizes.begin(), sizes.end());
  const auto name = [&](auto it) {
    const auto i = static_cast<size_t>(it - sizes.begin());
    return i < container.class_names().size() ? container.class_names()[i] : std::to_string(i);
  };
  return fmt::format("{}; images of a class: fewest {} ({}), most {} ({}), empty classes {}",
                     sizes.size(), *low, name(low), *high, name(high),
                     std::count(sizes.begin(), sizes.end(), 0));
}

}  // namespace

Verification verify_container(const std::string& path, int64_t threads,
                              const std::function<void(int64_t, int64_t)>& progress) {
  constexpr size_t kNamed = 10;
  const Container container(path);
  Verification result;
  result.count = container.count();
  const auto check = [&](int64_t i) { return check_sample(container, i); };
  ordered_parallel(result.count, threads, check, [&](int64_t i, const std::string& damage) {
    if (!damage.empty()) {
      ++result.bad;
      if (result.first_bad.size() < kNamed) result.first_bad.push_back(damage);
    }
    progress(i + 1, result.count);
  });
  return result;
}

std::string describe_container(const std::string& path) {
  const Container container(path);
  const auto mean = container.mean();
  const auto std = container.std();
  return fmt::format(
      "images   {}\n"
      "storage  {}\n"
      "sizes    {}\n"
      "classes  {}\n"
      "mean     {:.4f} {:.4f} {:.4f}\n"
      "std      {:.4f} {:.4f} {:.4f}\n"
      "order    {}\n"
      "reading  {}\n",
      container.count(), container.storage() == Storage::kRaw ? "raw" : "jpeg",
      describe_sizes(container), describe_classes(container), mean[0], mean[1], mean[2], std[0],
      std[1], std[2], container.order().empty() ? "the file does not say" : container.order(),
      container.direct() ? "direct (pread)" : "through HDF5 (slower; pack it)");
}

}  // namespace resnext
