// Resizes 8-bit RGB images with an antialiasing filter, as Pillow's Image.resize does.
//
// Two passes (rows, then columns) in fixed point with 22 fractional bits and an 8-bit image in
// between: Pillow's design (src/libImaging/Resample.c), so that results agree with it, and so with
// torchvision's transforms on PIL images. When shrinking, the filter is stretched by the factor.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/augment/pixel_kernels.h"
#include "data/image/image.h"

namespace resnext {

enum class Filter { kBilinear, kBicubic };  // triangle; Keys' cubic with a = -0.5

// The part `box` of the source becomes height x width pixels; of those, only the rows from `top`
// and columns from `left` that the destination has are computed.
struct ResizePlan {
  Box box;
  int64_t height = 0;
  int64_t width = 0;
  int64_t top = 0;
  int64_t left = 0;
  Filter filter = Filter::kBilinear;
  bool mirrored = false;  // the destination: left and right change places
  // Where the source is a part of the image that the box lies in: its first pixel there. It must
  // hold all that the destination is made of.
  int64_t source_top = 0;
  int64_t source_left = 0;
};

// Holds the tables and the image between the passes, so that a reused one does not allocate.
// One thread at a time.
class Resampler {
 public:
  // Writes out_height x out_width RGB pixels, rows without gaps, to `out`, which must not overlap
  // the source. Where a direction needs no change, its pixels are copied exactly.
  void resize(const ImageView& source, const ResizePlan& plan, int64_t out_height,
              int64_t out_width, uint8_t* out);

 private:
  // For each output position: the first source position and `taps` weights.
  struct Weights {
    int64_t taps = 0;
    std::vector<int64_t> first;
    std::vector<int64_t> used;
    std::vector<int32_t> values;
    std::vector<double> exact;  // of one output, before rounding

    WeightTable<int32_t> table() const { return {values.data(), first.data(), used.data(), taps}; }

    void compute(int64_t source_first, int64_t source_size, double box_start, double box_size,
                 int64_t full_size, int64_t out_first, int64_t out_count, Filter filter,
                 bool mirrored);
  };

  void resize_rows(const ImageView& source, int64_t out_width, uint8_t* out);
  void resize_columns(const ImageView& source, int64_t first_row, int64_t out_height,
                      uint8_t* out) const;

  Weights horizontal_;
  Weights vertical_;
  std::vector<uint8_t> between_;
  std::vector<uint8_t> columns_;
};

}  // namespace resnext
