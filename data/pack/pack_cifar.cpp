// CIFAR's binary files to a raw container.
// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <filesystem>

#include "comm/common/error.h"
#include "data/container/container_writer.h"
#include "data/container/file.h"
#include "data/pack/packer.h"

namespace resnext {
namespace {

constexpr size_t kSide = 32;
constexpr size_t kPlane = kSide * kSide;

// What differs between the two sets. Mean and std: fb.resnet.torch datasets/cifar10.lua and
// cifar100.lua, of pixels in 0..255.
struct Layout {
  std::vector<std::string> files;
  std::string names_file;
  size_t classes;
  size_t label_bytes;  // the last of which is the label
  std::array<double, 3> mean;
  std::array<double, 3> std;
};

Layout layout_of(const CifarSource& source) {
  if (source.kind == CifarKind::kCifar100) {
    return {{source.training ? "train.bin" : "test.bin"},
            "fine_label_names.txt",
            100,
            2,
            {129.3, 124.1, 112.4},
            {68.2, 65.4, 70.4}};
  }
  std::vector<std::string> files = {"test_batch.bin"};
  if (source.training) {
    files.clear();
    for (const char* n : {"1", "2", "3", "4", "5"}) {
      files.push_back(std::string("data_batch_") + n + ".bin");
    }
  }
  return {files, "batches.meta.txt", 10, 1, {125.3, 123.0, 113.9}, {63.0, 62.1, 66.7}};
}

std::vector<std::string> read_names(const std::string& path, size_t classes) {
  const std::vector<std::string> names = read_lines(path);
  if (names.size() != classes) {
    throw DataError(path, "must have " + std::to_string(classes) + " class names",
                    "name the folder of the set's binary version");
  }
  return names;
}

void append_record(const uint8_t* record, const Layout& layout, const std::string& path,
                   ContainerWriter& writer) {
  const uint8_t label = record[layout.label_bytes - 1];
  if (label >= layout.classes) {
    throw DataError(path, "label " + std::to_string(label) + " is out of range",
                    "download the set again");
  }
  const uint8_t* planes = record + layout.label_bytes;
  std::array<uint8_t, kPlane * 3> pixels;
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = planes[i % 3 * kPlane + i / 3];
  writer.append(pixels, label);
}

}  // namespace

void pack_cifar(const CifarSource& source, const std::string& out) {
  const Layout layout = layout_of(source);
  const std::filesystem::path folder = source.folder;
  ContainerDescription description;
  description.height = description.width = kSide;
  description.class_names = read_names(folder / layout.names_file, layout.classes);
  for (size_t c = 0; c < 3; ++c) {
    description.mean[c] = layout.mean[c] / 255;
    description.std[c] = layout.std[c] / 255;
  }
  ContainerWriter writer(out);
  const size_t record_bytes = layout.label_bytes + kPlane * 3;
  std::vector<uint8_t> bytes;
  for (const std::string& name : layout.files) {
    const std::string path = folder / name;
    read_file(path, bytes);
    if (bytes.empty() || bytes.size() % record_bytes != 0) {
      throw DataError(path, "is not made of records of " + std::to_string(record_bytes) + " bytes",
                      "download the set's binary version again");
    }
    for (size_t at = 0; at < bytes.size(); at += record_bytes) {
      append_record(&bytes[at], layout, path, writer);
    }
  }
  writer.finish(description);
}

}  // namespace resnext
