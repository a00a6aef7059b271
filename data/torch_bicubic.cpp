// SPDX-License-Identifier: BSD-3-Clause
#include "data/torch_bicubic.h"

#include <algorithm>
#include <iterator>

#include "data/pixel_kernels.h"

namespace resnext {

void TorchBicubic::Neighbours::compute(int64_t source_size, int64_t full_size, int64_t out_first,
                                       int64_t out_count) {
  const int64_t n = source_size, m = full_size;
  taps = std::min<int64_t>(4, n);
  first.resize(static_cast<size_t>(out_count));
  used.assign(static_cast<size_t>(out_count), taps);
  weights.assign(static_cast<size_t>(out_count) * 4, 0);
  const float scale = static_cast<float>(n - 1) / static_cast<float>(std::max<int64_t>(m - 1, 1));
  for (int64_t i = 0; i < out_count; ++i) {
    const int64_t at = out_first + i;
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

const float* TorchBicubic::row(const ImageView& source, int64_t y, int64_t out_width) {
  const int64_t group = y / kRowsAtOnce, first = group * kRowsAtOnce;
  const auto slot = static_cast<size_t>(group % kHeld);
  if (held_[slot] != group) {
    held_[slot] = group;
    rows_[slot].resize(static_cast<size_t>(kRowsAtOnce * out_width * 3));
    const int64_t rows = std::min(kRowsAtOnce, source.height - first);
    blend_along_rows({source.row(first), source.stride, rows, source.width}, horizontal_.table(),
                     out_width, columns_, rows_[slot].data());
  }
  return rows_[slot].data() + (y - first) * out_width * 3;
}

void TorchBicubic::resize(const ImageView& source, const ResizedPart& part, int64_t out_height,
                          int64_t out_width, float* out) {
  horizontal_.compute(source.width, part.width, part.left, out_width);
  vertical_.compute(source.height, part.height, part.top, out_height);
  std::fill(std::begin(held_), std::end(held_), -1);
  for (int64_t y = 0; y < out_height; ++y, out += out_width * 3) {
    const int64_t first = vertical_.first[static_cast<size_t>(y)];
    const float* w = &vertical_.weights[static_cast<size_t>(4 * y)];
    const float* rows[4];
    for (int64_t t = 0; t < 4; ++t) {
      rows[t] = row(source, first + std::min(t, vertical_.taps - 1), out_width);
    }
    blend_along_column(rows, {w[0], w[1], w[2], w[3]}, out_width * 3, out);
  }
}

}  // namespace resnext
