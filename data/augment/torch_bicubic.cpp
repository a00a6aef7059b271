// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/torch_bicubic.h"

#include <algorithm>
#include <iterator>
#include <new>

#include "data/augment/pixel_kernels.h"

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

// Calls add(neighbour, share) for all weights; the shares are 1 in sum.
template <typename Add>
void TorchBicubic::Neighbours::add_up(const Add& add) const {
  const auto count = static_cast<float>(first.size());
  for (size_t i = 0; i < first.size(); ++i) {
    for (int64_t t = 0; t < taps; ++t) {
      add(first[i] + t, weights[4 * i + static_cast<size_t>(t)] / count);
    }
  }
}

void TorchBicubic::plan(const ImageView& source, const ResizedPart& part, int64_t out_height,
                        int64_t out_width) {
  source_ = source;
  horizontal_.compute(source.width, part.width, part.left, out_width, part.mirrored);
  vertical_.compute(source.height, part.height, part.top, out_height, false);
  std::fill(std::begin(held_), std::end(held_), -1);
  const auto values = static_cast<size_t>(kRowsAtOnce * out_width * 3);
  if (values <= capacity_) return;
  for (auto& rows : rows_) {
    rows = hwy::AllocateAligned<float>(values);
    if (rows == nullptr) throw std::bad_alloc();
  }
  capacity_ = values;
}

const float* TorchBicubic::row(int64_t y, const PixelMap& map) {
  const int64_t group = y / kRowsAtOnce, first = group * kRowsAtOnce;
  const auto slot = static_cast<size_t>(group % kHeld);
  const auto out_width = static_cast<int64_t>(horizontal_.first.size());
  if (held_[slot] != group) {
    held_[slot] = group;
    const int64_t rows = std::min(kRowsAtOnce, source_.height - first);
    blend_along_rows({source_.row(first), source_.stride, rows, source_.width}, horizontal_.table(),
                     out_width, map, columns_, rows_[slot].get());
  }
  return rows_[slot].get() + (y - first) * out_width * 3;
}

std::array<double, 3> TorchBicubic::begin(const ImageView& source, const ResizedPart& part,
                                          int64_t out_height, int64_t out_width) {
  plan(source, part, out_height, out_width);
  column_shares_.assign(static_cast<size_t>(3 * source.width + PixelShares::kPadding), 0);
  horizontal_.add_up([&](int64_t p, float w) {
    for (int64_t c = 0; c < 3; ++c) column_shares_[static_cast<size_t>(3 * p + c)] += w;
  });
  row_shares_.assign(static_cast<size_t>(source.height), 0);
  vertical_.add_up([&](int64_t p, float w) { row_shares_[static_cast<size_t>(p)] += w; });
  double mean[3];
  sum_colours({source.pixels, source.stride, source.height, source.width, row_shares_.data(),
               column_shares_.data()},
              mean);
  return {mean[0], mean[1], mean[2]};
}

void TorchBicubic::finish(const ColourMap& map, float* out) {
  const PixelMap pixel_map = map.pixel_map();
  const auto values = static_cast<int64_t>(3 * horizontal_.first.size());
  for (size_t y = 0; y < vertical_.first.size(); ++y, out += values) {
    const float* w = &vertical_.weights[4 * y];
    const float* rows[4];
    for (int64_t t = 0; t < 4; ++t) {
      rows[t] = row(vertical_.first[y] + std::min(t, vertical_.taps - 1), pixel_map);
    }
    blend_along_column(rows, {w[0], w[1], w[2], w[3]}, values, out);
  }
  flush_stores();
}

void TorchBicubic::resize(const ImageView& source, const ResizedPart& part, int64_t out_height,
                          int64_t out_width, float* out) {
  plan(source, part, out_height, out_width);
  finish(ColourMap({}), out);
}

}  // namespace resnext
