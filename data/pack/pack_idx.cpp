// MNIST's IDX files to a raw container.
// SPDX-License-Identifier: BSD-3-Clause
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "comm/common/error.h"
#include "data/container/container_writer.h"
#include "data/container/file.h"
#include "data/pack/packer.h"

namespace resnext {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{1} << 33;

// Reads plain and gzip files alike (zlib does both).
class IdxFile {
 public:
  explicit IdxFile(std::string path)
      : path_(std::move(path)), file_(gzopen(InputFile(path_).path().c_str(), "rb"), gzclose) {
    if (!file_) throw DataError(path_, "cannot be opened", "check the path");
  }

  void read(uint8_t* out, uint64_t bytes) {
    while (bytes > 0) {
      const auto piece = static_cast<unsigned>(std::min<uint64_t>(bytes, 1 << 30));
      const int got = gzread(file_.get(), out, piece);
      if (got <= 0) fail("ends early or is damaged");
      out += got;
      bytes -= static_cast<uint64_t>(got);
    }
  }

  // The header: two zero bytes, type 8 (uint8), the rank, then the sizes, big-endian.
  std::vector<uint64_t> read_header(uint8_t rank) {
    std::array<uint8_t, 4> magic{};
    read(magic.data(), magic.size());
    if (magic != std::array<uint8_t, 4>{0, 0, 8, rank}) {
      fail("is not an IDX file of uint8 with " + std::to_string(rank) + " dimensions");
    }
    std::vector<uint64_t> sizes;
    for (int i = 0; i < rank; ++i) {
      std::array<uint8_t, 4> b{};
      read(b.data(), b.size());
      sizes.push_back(uint64_t{b[0]} << 24 | uint64_t{b[1]} << 16 | uint64_t{b[2]} << 8 | b[3]);
    }
    return sizes;
  }

  void expect_end() {
    uint8_t extra = 0;
    if (gzread(file_.get(), &extra, 1) != 0) fail("is longer than its header says, or damaged");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(path_, what, "download the file again");
  }

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

std::vector<uint8_t> read_labels(const std::string& path) {
  IdxFile file(path);
  std::vector<uint8_t> labels(file.read_header(1)[0]);
  file.read(labels.data(), labels.size());
  file.expect_end();
  return labels;
}

std::vector<std::string> names_for(const IdxSource& source, const std::vector<uint8_t>& labels) {
  const size_t classes = labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1U;
  if (!source.class_names.empty()) {
    if (source.class_names.size() < classes) {
      throw ConfigError("--class-names",
                        std::to_string(source.class_names.size()) + " names for " +
                            std::to_string(classes) + " classes",
                        "give one name for each class");
    }
    return source.class_names;
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < classes; ++i) names.push_back(std::to_string(i));
  return names;
}

// Exact sums of pixels and their squares; mean and standard deviation in 0..1.
struct PixelStatistics {
  uint64_t count = 0;
  uint64_t sum = 0;
  uint64_t sum_of_squares = 0;

  void add(const std::vector<uint8_t>& pixels) {
    count += pixels.size();
    for (const uint64_t p : pixels) {
      sum += p;
      sum_of_squares += p * p;
    }
  }
  double mean() const { return static_cast<double>(sum) / static_cast<double>(count) / 255; }
  double deviation() const {
    const double m = mean() * 255;
    const double variance =
        static_cast<double>(sum_of_squares) / static_cast<double>(count) - m * m;
    return std::sqrt(std::max(variance, 1.0)) / 255;  // of a constant set: one grey level
  }
};

}  // namespace

void pack_idx(const IdxSource& source, const std::string& out) {
  IdxFile images(source.images);
  const std::vector<uint64_t> sizes = images.read_header(3);
  if (sizes[1] == 0 || sizes[2] == 0 || sizes[0] > kMaxBytes / sizes[1] / sizes[2]) {
    images.fail("has an impossible size in its header");
  }
  const std::vector<uint8_t> labels = read_labels(source.labels);
  if (labels.size() != sizes[0]) {
    throw DataError(
        source.labels,
        std::to_string(labels.size()) + " labels for " + std::to_string(sizes[0]) + " images",
        "give the two files of one split");
  }
  ContainerDescription description;
  description.height = static_cast<int64_t>(sizes[1]);
  description.width = static_cast<int64_t>(sizes[2]);
  description.class_names = names_for(source, labels);
  ContainerWriter writer(out);
  PixelStatistics statistics;
  std::vector<uint8_t> grey(sizes[1] * sizes[2]);
  std::vector<uint8_t> rgb(grey.size() * 3);
  for (const uint8_t label : labels) {
    images.read(grey.data(), grey.size());
    statistics.add(grey);
    for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = grey[i / 3];
    writer.append(rgb, label);
  }
  images.expect_end();
  description.mean.fill(statistics.mean());
  description.std.fill(statistics.deviation());
  writer.finish(description);
}

}  // namespace resnext
