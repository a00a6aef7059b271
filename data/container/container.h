// The data container: one HDF5 file that holds one split of an image set.
//
// Format version 2. `/images`: raw = uint8 [N,H,W,3] contiguous (RGB); jpeg = uint8 [bytes]
// contiguous, the encoded images (JPEG or PNG) one after another, with `/offsets` uint64 [N+1].
// `/labels` int64 [N], `/crc32c` uint32 [N] (CRC-32C, Castagnoli, of each sample's stored bytes).
// Attributes of the root: `format_version` int64, `storage` "raw" | "jpeg", `class_names` (array of
// UTF-8 strings, each once), `mean` and `std` float64 [3] (RGB, of pixels in 0..1), `order` (in
// words: how the samples lie; may be missing), `description_crc32c` uint32: CRC-32C of the labels
// (int64 little-endian), then of each class name with a zero byte behind it, then of mean and std
// (float64 little-endian). Version 1, which has no `description_crc32c`, is read as well. Space is
// allocated early and aligned to 4096, so that samples are read with pread() at the dataset's
// offset in the file, past HDF5's global lock. Files made by others (h5py: chunked, compressed,
// variable-length JPEG, other dataset names) are read through H5Dread, at their speed: images as in
// pixel_format.h of any numeric type, labels as in hdf5_labels.h.
//
// Several files in a row are one container: sample i of the second is sample count + i. They must
// have the same storage, image shape, mean and std; the classes of the later ones are found by name
// among the first's.
//
// Opening checks shapes, types, offsets, file length, the range of all labels, the names, and the
// checksum of the description; it throws DataError with file, dataset and remedy. Reading is
// thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/container/classes.h"

namespace resnext {

enum class Storage { kRaw, kJpeg };

struct SyntheticSet;

// Which datasets of a file are meant. Those that are not named are found by name or shape.
struct ContainerSource {
  std::string address;      // of the file or of a group in it (data_options.h)
  std::string images = {};  // dataset below that group
  std::string labels = {};  // the same, or the address of a dataset in another file
  // Pixels between two levels become the nearer one; else they are refused.
  bool rounded = false;
  // A list of classes as read_class_list() reads it: labels become places in it, by the file's
  // names, or where it has none they are places already. Empty: the file's own.
  std::string classes = {};
};

class InputFile;

// Bytes in a file that is read with pread(). Valid as long as the container.
struct FilePiece {
  const InputFile* file = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

class Container {
 public:
  // Opens read-only, without file locking. `verify_crc`: every read_sample compares the checksum.
  explicit Container(const std::vector<ContainerSource>& sources, bool verify_crc = true);
  explicit Container(const ContainerSource& source, bool verify_crc = true)
      : Container(std::vector{source}, verify_crc) {}
  explicit Container(const std::string& address, bool verify_crc = true)
      : Container(ContainerSource{address}, verify_crc) {}
  // No file: images and labels are made (data/container/synthetic_source.h).
  explicit Container(const SyntheticSet& set);
  ~Container();
  Container(Container&&) noexcept;
  Container& operator=(Container&&) noexcept;

  // Of several files: "a.h5, b.h5"; kSynthetic where there is no file.
  const std::string& path() const;
  Storage storage() const;
  bool synthetic() const;
  int64_t count() const;
  int64_t classes() const;
  const ClassNames& class_names() const;  // empty where the file names none
  // Images of each class.
  std::vector<int64_t> class_counts() const;
  // Takes over the classes of another set: class i becomes the class at places[i] of `names`.
  void adopt_classes(const ClassNames& names, const std::vector<int64_t>& places);
  // Height and width of raw samples; 0 for jpeg.
  int64_t height() const;
  int64_t width() const;
  // Per channel (RGB), of pixels in 0..1. ImageNet's where the file says nothing.
  std::array<double, 3> mean() const;
  std::array<double, 3> std() const;

  // How the samples of the first file lie, in words; empty where it does not say.
  const std::string& order() const;

  // What a user should know of how another program's file is read.
  const std::vector<std::string>& remarks() const;

  int64_t label(int64_t index) const;
  // True where samples are read with pread() past HDF5.
  bool direct() const;
  // Stored bytes of a sample into `bytes` (resized). Throws DataError naming file and index when
  // the read is short or the checksum differs. Thread-safe.
  void read_sample(int64_t index, std::vector<uint8_t>& bytes) const;
  // "FILE, sample N", as the file counts.
  std::string name_of(int64_t index) const;
  // Where samples [first, last) lie, a piece for each file; none where they are read through HDF5.
  std::vector<FilePiece> pieces(int64_t first, int64_t last) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnext
