// Where a container's stored samples come from: past HDF5 with pread(), or through H5Dread.
//
// read() is thread-safe and throws DataError naming file and position.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/container/container.h"
#include "data/container/hdf5_reading.h"
#include "data/container/pixel_format.h"

namespace resnext {

class SampleSource {
 public:
  virtual ~SampleSource() = default;
  // The stored bytes of sample `index`, which must be in range, into `bytes` (resized).
  virtual void read(int64_t index, std::vector<uint8_t>& bytes) const = 0;
  // Where samples [first, last) lie; nothing where they are read through HDF5.
  virtual std::optional<FilePiece> piece(int64_t, int64_t) const { return std::nullopt; }
};

// Samples that lie one after another in the file from byte `start`, all of `sample_bytes`.
std::unique_ptr<SampleSource> fixed_size_source(const std::string& path, uint64_t start,
                                                uint64_t sample_bytes);

// Sample i lies from byte start + offsets[i] to start + offsets[i + 1].
std::unique_ptr<SampleSource> indexed_source(const std::string& path, uint64_t start,
                                             std::vector<uint64_t> offsets);

// Through HDF5, one reader at a time: uint8 [N,H,W,3] of any layout and compression, variable-
// length uint8 [N], or with `offsets` not empty uint8 [bytes]. Keeps the dataset open.
std::unique_ptr<SampleSource> hdf5_source(const std::string& path, DatasetInfo images,
                                          std::vector<uint64_t> offsets);

// Through HDF5 as well: numeric images of `format`, converted as in pixel_format.h. Reading throws
// DataError where they cannot be.
std::unique_ptr<SampleSource> converted_source(const std::string& path, DatasetInfo images,
                                               const PixelFormat& format, bool rounded);

}  // namespace resnext
