// Makes containers from the forms in which image sets are published.
//
// Each function writes a complete file or none. What takes long goes on where it was interrupted
// (resumable_pack.h). Throws DataError when the source is missing or
// damaged, OutputError when the file cannot be written, ConfigError when options contradict.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/container/container.h"

namespace resnext {

// How a packer tells about its work; called on the caller's thread, may throw to stop it.
struct PackObserver {
  std::function<void(int64_t done, int64_t total)> progress = [](int64_t, int64_t) {};
  std::function<void(const std::string& message)> warning = [](const std::string&) {};
};

// How samples lie in the container: as the source has them, or mixed, so that neighbours in the
// file are a random sample of the set and data.shuffle block is as good as full.
enum class PackOrder { kSource, kShuffled };

struct PackingOptions {
  PackOrder order = PackOrder::kSource;
  uint64_t seed = 1;  // of kShuffled: the same gives the same order
  // What an interrupted pack of other sources or options has left: true throws it away, false is an
  // error.
  bool restart = false;
  int64_t save_bytes = 64 << 20;  // of samples between two saves of where it stands
  // JPEG is stored with the same pixels in a form of which parts are decoded faster
  // (croppable_jpeg.h), where it has one; false: as it came.
  bool croppable = true;
  // Damaged inputs are left out; false: they are an error, once all inputs have been looked at.
  bool skip_damaged = false;
  int64_t threads = 1;
};

// ImageNet's layouts: one folder for each class, or one for all with a list of labels
// (image_listing.h).
struct ImageFolderSource {
  std::string folder;
  std::string classes;  // container or text file with the classes in order; empty: the folders'
  std::string labels;   // list of files with their classes; empty: one folder for each class
  Storage storage = Storage::kJpeg;
  // raw: side of the stored square, the middle of the image with its shorter side resized to it
  // (bilinear). jpeg: images whose shorter side is longer are resized to it and encoded again;
  // 0: JPEG and PNG keep their pixels, other formats become PNG.
  int64_t size = 0;
  int quality = 90;  // of JPEG that is encoded again, 1..100
  PackingOptions packing = {.order = PackOrder::kShuffled};
};
void pack_imagefolder(const ImageFolderSource& source, const std::string& out,
                      const PackObserver& observer = {});

// Any HDF5 file that Container reads. Pixels are stored as they are, encoded images as in
// stored_image.h. Without class names the classes are called 0, 1, ...
void pack_hdf5(const ContainerSource& source, const std::string& out,
               const PackObserver& observer = {}, const PackingOptions& packing = {});

// The binary versions of CIFAR (cs.toronto.edu/~kriz/cifar.html): the folder with
// data_batch_1.bin ... and batches.meta.txt, or train.bin and fine_label_names.txt.
enum class CifarKind { kCifar10, kCifar100 };
struct CifarSource {
  CifarKind kind = CifarKind::kCifar10;
  std::string folder;
  bool training = true;
};
void pack_cifar(const CifarSource& source, const std::string& out);

// MNIST's format (yann.lecun.com/exdb/mnist), plain or gzip: `images` idx3-ubyte, `labels`
// idx1-ubyte. Grey is repeated in three channels; mean and std are those of the pixels. Without
// class names the classes are called 0, 1, ...
struct IdxSource {
  std::string images;
  std::string labels;
  std::vector<std::string> class_names;
};
void pack_idx(const IdxSource& source, const std::string& out);

}  // namespace resnext
