// SPDX-License-Identifier: BSD-3-Clause
#include "data/torch_bicubic.h"

#include <algorithm>

#include "data/pixel_kernels.h"

namespace resnext {

void TorchBicubic::Neighbours::compute(int64_t source_size, int64_t full_size, int64_t out_first,
                                       int64_t out_count, bool mirrored) {
  const int64_t n = source_size, m = full_size;
  taps = std::min<int64_t>(4, n);
  first.resize(static_cast<size_t>(out_count));
  used.assign(static_cast<size_t>(out_count), taps);
  weights.assign(static_cast<size_t>(out_count) * 4, 0);
  const float scale = static_cast<float>(n - 1) / static_cast<float>(std::max<int64_t>(m - 1, 1));
  for (int64_t i = 0; i < out_count; ++i) {
    const int64_t at = out_first + (mirrored ? out_count - 1 - i : i);
    const float place = static_cast<float>(at) * scale;
    const int64_t p1 = at == m - 1 ? n - 1 : static_cast<int64_t>(place);
    const int64_t begin = std::clamp<int64_t>(p1 - 1, 0, n - taps);
    first[static_cast<size_t>(i)] = begin;
    const auto add = [&](int64_t p, float weight) {
      weights[static_cast<size_t>(4 * i + p - begin)] += weight;
    };
    if (p1 == n - 1) {
      add(p1, 1);
      continue;
    }
    const float x = place - static_cast<float>(p1);
    const float w0 = 0.5F * x * (-1 + x * (2 - x)), w3 = 0.5F * x * x * (x - 1);
    add(p1, 1 + 0.5F * x * x * (3 * x - 5));
    add(p1 + 1, 0.5F * x * (1 + x * (4 - 3 * x)));
    if (p1 > 0) {
      add(p1 - 1, w0);
    } else {
      add(p1, 2 * w0);
      add(p1 + 1, -w0);
    }
    if (p1 + 2 < n) {
      add(p1 + 2, w3);
    } else {
      add(p1 + 1, 2 * w3);
      add(p1, -w3);
    }
  }
}

// Of the source's rows, in groups of kRowsAtOnce, those groups that an output row is made of.
void TorchBicubic::resize_rows(const ImageView& source, const ResizedPart& part, int64_t out_height,
                               int64_t out_width) {
  horizontal_.compute(source.width, part.width, part.left, out_width, part.mirrored);
  vertical_.compute(source.height, part.height, part.top, out_height, false);
  row_values_ = out_width * 3;
  rows_.resize(static_cast<size_t>((source.height + kRowsAtOnce - 1) * row_values_));
  int64_t next = 0;  // the first row of which nothing is known
  for (const int64_t first : vertical_.first) {
    for (; next < first + vertical_.taps; next += kRowsAtOnce) {
      next = std::max(next, first / kRowsAtOnce * kRowsAtOnce);
      const int64_t rows = std::min(kRowsAtOnce, source.height - next);
      blend_along_rows({source.row(next), source.stride, rows, source.width}, horizontal_.table(),
                       out_width, columns_, &rows_[static_cast<size_t>(next * row_values_)]);
    }
  }
}

void TorchBicubic::write_row(int64_t y, float* out) const {
  const int64_t first = vertical_.first[static_cast<size_t>(y)];
  const float* w = &vertical_.weights[static_cast<size_t>(4 * y)];
  const float* rows[4];
  for (int64_t t = 0; t < 4; ++t) {
    const int64_t row = first + std::min(t, vertical_.taps - 1);
    rows[t] = &rows_[static_cast<size_t>(row * row_values_)];
  }
  blend_along_column(rows, {w[0], w[1], w[2], w[3]}, row_values_, out);
}

void TorchBicubic::resize(const ImageView& source, const ResizedPart& part, int64_t out_height,
                          int64_t out_width, float* out) {
  resize_rows(source, part, out_height, out_width);
  for (int64_t y = 0; y < out_height; ++y, out += row_values_) write_row(y, out);
}

std::array<double, 3> TorchBicubic::begin(const ImageView& source, const ResizedPart& part,
                                          int64_t out_height, int64_t out_width) {
  resize_rows(source, part, out_height, out_width);
  row_weights_.assign(static_cast<size_t>(source.height), 0);
  for (size_t y = 0; y < vertical_.first.size(); ++y) {
    for (size_t t = 0; t < static_cast<size_t>(vertical_.taps); ++t) {
      row_weights_[static_cast<size_t>(vertical_.first[y]) + t] += vertical_.weights[4 * y + t];
    }
  }
  std::array<double, 3> mean{};
  for (size_t row = 0; row < row_weights_.size(); ++row) {
    if (row_weights_[row] == 0) continue;
    const std::array<double, 3> of_row =
        mean_colour(&rows_[row * static_cast<size_t>(row_values_)], out_width);
    for (size_t c = 0; c < 3; ++c) mean[c] += row_weights_[row] * of_row[c];
  }
  for (double& m : mean) m /= static_cast<double>(out_height);
  return mean;
}

void TorchBicubic::finish(const ColourMap& map, float* out) {
  line_.resize(static_cast<size_t>(row_values_));
  for (size_t y = 0; y < vertical_.first.size(); ++y, out += row_values_) {
    write_row(static_cast<int64_t>(y), line_.data());
    map.apply(line_.data(), row_values_ / 3, out);
  }
}

}  // namespace resnext
