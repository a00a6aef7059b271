// The quantised coefficients of a JPEG, which are what its codes say.
//
// Images of equal coefficients, quantisation tables, sampling and colour space have equal pixels,
// in whatever decoder and however the codes are written. Local; one thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/image/jpeg_library.h"

namespace resnext {

class JpegCoefficients {
 public:
  // Reads all codes of the image, which is the owner of the coefficients and must outlive this.
  // Throws DamagedImage.
  explicit JpegCoefficients(Decompressor& jpeg);

  const jpeg_decompress_struct& info() const { return jpeg_.info(); }
  // For jpeg_write_coefficients().
  jvirt_barray_ptr* arrays() const { return arrays_; }
  // Row `y` of a component's blocks, each of 64 coefficients in natural order; `width_in_blocks` of
  // them are the image's.
  const JBLOCK* row(int component, int64_t y) const {
    return rows_[static_cast<size_t>(component)][static_cast<size_t>(y)];
  }
  // False where a progressive image ends before its last bits: decoders guess (libjpeg smooths
  // blocks), but not once it is written as another kind.
  bool complete() const;

  // Whether both are of one image, to the pixel.
  bool operator==(const JpegCoefficients& other) const;

 private:
  Decompressor& jpeg_;
  jvirt_barray_ptr* arrays_ = nullptr;
  std::vector<std::vector<const JBLOCK*>> rows_;  // of each component
};

}  // namespace resnext
