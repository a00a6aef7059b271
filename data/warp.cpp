// Nearest, bilinear and bicubic reading of a mapped image, row by row.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/warp.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "data/warp_kernels.h"

namespace resnext {
namespace {

constexpr int kNearestBits = 16;
constexpr int64_t kBorder = 2;  // that bicubic reads beyond the image

// Positions in the source, in fixed point.
struct Axis {
  int64_t start = 0;     // of the first pixel
  int64_t step = 0;      // to the next in a row
  int64_t row_step = 0;  // to the next in a column

  Axis(double along_row, double along_column, double offset, int bits) {
    const auto fixed = [bits](double x) {
      return static_cast<int64_t>(std::floor(std::ldexp(x, bits) + 0.5));
    };
    start = fixed(offset + along_row * 0.5 + along_column * 0.5);
    step = fixed(along_row);
    row_step = fixed(along_column);
  }
};

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

int64_t floor_divide(int64_t a, int64_t b) {  // b > 0
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

// The part of `range` where 0 <= start + x * step < limit.
Range inside(const Range& range, int64_t start, int64_t step, int64_t limit) {
  if (step == 0) return start >= 0 && start < limit ? range : Range{range.begin, range.begin};
  int64_t first = 0, end = 0;
  if (step > 0) {
    first = floor_divide(-start - 1, step) + 1;
    end = floor_divide(limit - start - 1, step) + 1;
  } else {
    first = floor_divide(start - limit, -step) + 1;
    end = floor_divide(start, -step) + 1;
  }
  first = std::clamp(first, range.begin, range.end);
  return {first, std::clamp(end, first, range.end)};
}

// Calls read(x, y, count, out) for the part of each row that has a source: positions of its first
// pixel.
template <typename Read>
void read_rows(Axis x, Axis y, int bits, const Colour& outside, int64_t size, uint8_t* out,
               const Read& read) {
  const int64_t limit = size << bits;
  for (int64_t row = 0; row < size; ++row, out += size * 3) {
    const Range has_x = inside({0, size}, x.start, x.step, limit);
    const Range found = inside(has_x, y.start, y.step, limit);
    fill_pixels(out, found.begin, outside);
    if (found.begin < found.end) {
      read(x.start + found.begin * x.step, y.start + found.begin * y.step, found.end - found.begin,
           out + found.begin * 3);
    }
    fill_pixels(out + found.end * 3, size - found.end, outside);
    x.start += x.row_step;
    y.start += y.row_step;
  }
}

void warp_nearest(const Affine& map, const Colour& outside, const uint8_t* in, int64_t size,
                  uint8_t* out) {
  const Axis x(map.xx, map.xy, map.x0, kNearestBits), y(map.yx, map.yy, map.y0, kNearestBits);
  const bool even = x.step == int64_t{1} << kNearestBits && y.step == 0;
  const int64_t last = (size * size - 1) * 3;  // has no byte behind it
  const auto place = [&](int64_t at_x, int64_t at_y) {
    return ((at_y >> kNearestBits) * size + (at_x >> kNearestBits)) * 3;
  };
  read_rows(x, y, kNearestBits, outside, size, out,
            [&](int64_t at_x, int64_t at_y, int64_t count, uint8_t* to) {
              if (even) {
                std::memcpy(to, in + place(at_x, at_y), static_cast<size_t>(count * 3));
                return;
              }
              for (; count > 1; --count, to += 3, at_x += x.step, at_y += y.step) {
                const int64_t from = place(at_x, at_y);
                // The fourth byte is written again with the next pixel.
                from < last ? std::memcpy(to, in + from, 4) : std::memcpy(to, in + from, 3);
              }
              std::memcpy(to, in + place(at_x, at_y), 3);
            });
}

// The image with its border repeated around it; returns bytes a row.
int64_t extend(const uint8_t* in, int64_t size, std::vector<uint8_t>& extended) {
  const int64_t stride = (size + 2 * kBorder) * 3;
  extended.resize(static_cast<size_t>((size + 2 * kBorder) * stride + 1));
  uint8_t* to = extended.data();
  for (int64_t y = -kBorder; y < size + kBorder; ++y) {
    const uint8_t* row = in + std::clamp<int64_t>(y, 0, size - 1) * size * 3;
    const uint8_t* last = row + (size - 1) * 3;
    for (int64_t i = 0; i < kBorder; ++i, to += 3) std::memcpy(to, row, 3);
    std::memcpy(to, row, static_cast<size_t>(size * 3));
    to += size * 3;
    for (int64_t i = 0; i < kBorder; ++i, to += 3) std::memcpy(to, last, 3);
  }
  return stride;
}

// Whether all pixels lie in the middle of the source's.
bool is_whole(const Axis& axis) {
  constexpr int64_t kFraction = (int64_t{1} << kPositionBits) - 1;
  const int64_t half = int64_t{1} << (kPositionBits - 1);
  return (((axis.start - half) | axis.step | axis.row_step) & kFraction) == 0;
}

void warp_between(const Axis& x, const Axis& y, const Taps& taps, const Colour& outside,
                  const uint8_t* in, int64_t size, uint8_t* out, std::vector<uint8_t>& scratch) {
  const int64_t stride = extend(in, size, scratch);
  // From a pixel's corner to the first that it is made of.
  const auto first_of = [](int count) {
    const int64_t before = count / 2 - (count > 1 ? 1 : 0);
    return ((kBorder - before) << kPositionBits) - (int64_t{1} << (kPositionBits - 1));
  };
  const int64_t to_x = first_of(taps.along_row), to_y = first_of(taps.along_column);
  read_rows(x, y, kPositionBits, outside, size, out,
            [&](int64_t at_x, int64_t at_y, int64_t count, uint8_t* to) {
              blend_pixels(scratch.data(), stride, {at_x + to_x, x.step}, {at_y + to_y, y.step},
                           taps, count, to);
            });
}

}  // namespace

Affine rotation(double degrees, int64_t size) {
  const double angle = degrees * std::numbers::pi / 180;
  const auto rounded = [](double x) { return std::nearbyint(x * 1e15) / 1e15; };
  const double c = rounded(std::cos(angle));
  const double s = rounded(std::sin(angle));
  const double middle = static_cast<double>(size) / 2;
  return {c, -s, middle - c * middle + s * middle, s, c, middle - s * middle - c * middle};
}

void warp(const Affine& map, const WarpStyle& style, const uint8_t* in, int64_t size, uint8_t* out,
          std::vector<uint8_t>& scratch) {
  const Axis x(map.xx, map.xy, map.x0, kPositionBits), y(map.yx, map.yy, map.y0, kPositionBits);
  const bool whole_x = is_whole(x), whole_y = is_whole(y);
  if (style.sampling == Sampling::kNearest || (whole_x && whole_y)) {
    return warp_nearest(map, style.outside, in, size, out);
  }
  const int taps = style.sampling == Sampling::kBilinear ? 2 : 4;
  warp_between(x, y, {whole_x ? 1 : taps, whole_y ? 1 : taps}, style.outside, in, size, out,
               scratch);
}

}  // namespace resnext
