// Separable resampling in fixed point.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace resnext {
namespace {

double triangle(double x) {
  return std::max(0.0, 1 - std::abs(x));
}

// Keys, "Cubic convolution interpolation for digital image processing", 1981.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

bool is_identity(double start, double size, int64_t source_size, int64_t full_size) {
  return start == 0 && size == static_cast<double>(source_size) && source_size == full_size;
}

}  // namespace

void Resampler::Weights::compute(int64_t source_first, int64_t source_size, double box_start,
                                 double box_size, int64_t full_size, int64_t out_first,
                                 int64_t out_count, Filter filter, bool mirrored) {
  const double scale = box_size / static_cast<double>(full_size);
  const double stretch = std::max(scale, 1.0);
  const double support = (filter == Filter::kBilinear ? 1.0 : 2.0) * stretch;
  taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  first.resize(static_cast<size_t>(out_count));
  used.resize(static_cast<size_t>(out_count));
  values.assign(static_cast<size_t>(out_count * taps), 0);
  exact.resize(static_cast<size_t>(taps));
  for (int64_t i = 0; i < out_count; ++i) {
    const int64_t place = out_first + (mirrored ? out_count - 1 - i : i);
    const double centre = box_start + (static_cast<double>(place) + 0.5) * scale;
    const int64_t begin = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t end =
        std::min(source_first + source_size, static_cast<int64_t>(centre + support + 0.5));
    const auto n = static_cast<size_t>(end - begin);
    double total = 0;
    for (size_t t = 0; t < n; ++t) {
      const double x =
          (static_cast<double>(begin) + static_cast<double>(t) - centre + 0.5) / stretch;
      exact[t] = filter == Filter::kBilinear ? triangle(x) : cubic(x);
      total += exact[t];
    }
    first[static_cast<size_t>(i)] = begin - source_first;
    used[static_cast<size_t>(i)] = end - begin;
    int32_t* row = &values[static_cast<size_t>(i * taps)];
    for (size_t t = 0; t < n; ++t) {
      row[t] = static_cast<int32_t>(std::lround(exact[t] / total * (1 << kWeightBits)));
    }
  }
}

void Resampler::resize_rows(const ImageView& source, int64_t out_width, uint8_t* out) {
  const WeightTable<int32_t> table = horizontal_.table();
  for (int64_t y = 0; y < source.height; y += kRowsAtOnce, out += kRowsAtOnce * out_width * 3) {
    const int64_t rows = std::min(kRowsAtOnce, source.height - y);
    sum_along_rows({source.row(y), source.stride, rows, source.width}, table, out_width, columns_,
                   out);
  }
}

void Resampler::resize_columns(const ImageView& source, int64_t first_row, int64_t out_height,
                               uint8_t* out) const {
  const WeightTable<int32_t> table = vertical_.table();
  for (int64_t y = 0; y < out_height; ++y, out += source.width * 3) {
    sum_along_column(source.row(table.first[y] - first_row), source.stride,
                     table.weights + y * table.taps, table.used[y], source.width * 3, out);
  }
}

void Resampler::resize(const ImageView& source, const ResizePlan& plan, int64_t out_height,
                       int64_t out_width, uint8_t* out) {
  const Box& box = plan.box;
  const bool keep_width =
      !plan.mirrored && is_identity(box.left, box.width, source.width, plan.width);
  const bool keep_height = is_identity(box.top, box.height, source.height, plan.height);
  if (!keep_width) {
    horizontal_.compute(plan.source_left, source.width, box.left, box.width, plan.width, plan.left,
                        out_width, plan.filter, plan.mirrored);
  }
  int64_t first_row = plan.top;
  int64_t last_row = plan.top + out_height;
  if (!keep_height) {
    vertical_.compute(plan.source_top, source.height, box.top, box.height, plan.height, plan.top,
                      out_height, plan.filter, false);
    first_row = vertical_.first.front();
    last_row = vertical_.first.back() + vertical_.used.back();
  }
  ImageView rows = source.crop(first_row, 0, last_row - first_row, source.width);
  if (keep_width) {
    rows = rows.crop(0, plan.left, rows.height, out_width);
  } else {
    between_.resize(static_cast<size_t>(rows.height * out_width * 3));
    resize_rows(rows, out_width, keep_height ? out : between_.data());
    rows = {between_.data(), rows.height, out_width, out_width * 3};
  }
  if (!keep_height) {
    resize_columns(rows, first_row, out_height, out);
  } else if (keep_width) {
    const auto row_bytes = static_cast<size_t>(out_width * 3);
    for (int64_t y = 0; y < out_height; ++y) {
      std::memcpy(out + static_cast<size_t>(y) * row_bytes, rows.row(y), row_bytes);
    }
  }
}

}  // namespace resnext
