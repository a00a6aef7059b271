// Resizes as torch/image's image.scale(image, width, height, 'bicubic') does, which the seed uses.
//
// Output i of m lies at i * (n - 1) / (m - 1) of n source pixels (computed in float32), so that
// corners stay corners; the last is the last pixel. Between pixels p1 and p2 runs a cubic through
// p0 to p3 (Catmull and Rom; Keys' with a = -0.5) that is never stretched: shrinking has no
// antialiasing. Beyond an edge the image goes on as a straight line (p0 = 2 p1 - p2). Rows first,
// then columns, nothing rounded or limited to 0..255 (torch/image, generic/image.c:
// Main_scaleBicubic).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hwy/aligned_allocator.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "data/augment/colour.h"
#include "data/augment/pixel_kernels.h"
#include "data/image/image.h"

namespace resnext {

// A part of an image that is resized to height x width: rows from `top`, columns from `left`.
struct ResizedPart {
  int64_t height = 0;
  int64_t width = 0;
  int64_t top = 0;
  int64_t left = 0;
  bool mirrored = false;  // the destination: left and right change places
};

// Holds its tables and rows, so that a reused one does not allocate. One thread at a time.
class TorchBicubic {
 public:
  // Writes out_height x out_width RGB pixels, float32, rows without gaps, to `out`.
  void resize(const ImageView& source, const ResizedPart& part, int64_t out_height,
              int64_t out_width, float* out);

  // The same in two halves, for a map of colours that needs their mean: begin() returns that of
  // what is to be written, finish() writes, each pixel mapped. The source must live until then.
  std::array<double, 3> begin(const ImageView& source, const ResizedPart& part, int64_t out_height,
                              int64_t out_width);
  void finish(const ColourMap& map, float* out);

 private:
  // For each output the first of `taps` neighbours, and their weights, four places each.
  struct Neighbours {
    int64_t taps = 0;
    std::vector<int64_t> first;
    std::vector<int64_t> used;  // `taps`, for each
    std::vector<float> weights;

    WeightTable<float> table() const { return {weights.data(), first.data(), used.data(), 4}; }

    void compute(int64_t source_size, int64_t full_size, int64_t out_first, int64_t out_count,
                 bool mirrored);
    template <typename Add>
    void add_up(const Add& add) const;
  };

  void plan(const ImageView& source, const ResizedPart& part, int64_t out_height,
            int64_t out_width);
  // The source row, resized and mapped along with its group of kRowsAtOnce; four rows in a row lie
  // in two groups, which are kept.
  const float* row(int64_t y, const PixelMap& map);

  static constexpr int64_t kHeld = 2;

  ImageView source_;
  Neighbours horizontal_;
  Neighbours vertical_;
  // Aligned to vectors, so that no load of one lies in two cache lines.
  hwy::AlignedFreeUniquePtr<float[]> rows_[kHeld];
  size_t capacity_ = 0;               // values of each
  int64_t held_[kHeld] = {-1, -1};    // which group each is
  std::vector<float> column_shares_;  // of each value of a source row in the mean
  std::vector<float> row_shares_;
  std::vector<uint8_t> columns_;
};

}  // namespace resnext
