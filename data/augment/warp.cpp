// Nearest, bilinear and bicubic reading of a mapped image, row by row.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/warp.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "data/augment/warp_kernels.h"

namespace resnext {
namespace {

constexpr int64_t kBorder = 2;  // that bicubic reads beyond the image
constexpr int64_t kSlack = 16;  // bytes behind it

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

// The part of `range`, which is not empty, where 0 <= start + x * step < limit.
Range inside(const Range& range, int64_t start, int64_t step, int64_t limit) {
  const auto is_inside = [&](int64_t x) {
    return start + x * step >= 0 && start + x * step < limit;
  };
  if (is_inside(range.begin) && is_inside(range.end - 1)) return range;
  if (step == 0) return {range.begin, range.begin};
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

// Calls read(x, y, count, out) for the part of each row that has a source: positions of its pixels.
template <typename Read>
void read_rows(Axis x, Axis y, int bits, const uint8_t* outside, int64_t size, uint8_t* out,
               const Read& read) {
  const int64_t limit = size << bits;
  const auto fill = [&](int64_t begin, int64_t end) {
    std::memcpy(out + begin * 3, outside, static_cast<size_t>((end - begin) * 3));
  };
  for (int64_t row = 0; row < size; ++row, out += size * 3) {
    const Range has_x = inside({0, size}, x.start, x.step, limit);
    const bool any = has_x.begin < has_x.end;
    const Range found = any ? inside(has_x, y.start, y.step, limit) : has_x;
    fill(0, found.begin);
    if (found.begin < found.end) {
      read(PositionLine{x.start + found.begin * x.step, x.step},
           PositionLine{y.start + found.begin * y.step, y.step}, found.end - found.begin,
           out + found.begin * 3);
    }
    fill(found.end, size);
    x.start += x.row_step;
    y.start += y.row_step;
  }
}

// Copies pixels from places in bytes; all but the last one as so many bytes, of which those beyond
// the third are written again with the next pixel.
template <size_t kBytes>
void copy_pixels(const uint8_t* in, const int32_t* places, int64_t count, uint8_t* out) {
  for (int64_t i = 0; i + 1 < count; ++i) std::memcpy(out + i * 3, in + places[i], kBytes);
  std::memcpy(out + (count - 1) * 3, in + places[count - 1], 3);
}

void warp_nearest(const Affine& map, const uint8_t* outside, const uint8_t* in, int64_t size,
                  uint8_t* out) {
  constexpr int64_t kAtOnce = 256;
  const Axis x(map.xx, map.xy, map.x0, kNearestBits), y(map.yx, map.yy, map.y0, kNearestBits);
  const bool even = x.step == int64_t{1} << kNearestBits && y.step == 0;
  // The source's last pixel has no byte behind it; it is where both are largest.
  const auto reaches_end = [size](const PositionLine& line, int64_t count) {
    const int64_t last = line.start + (count - 1) * line.step;
    return std::max(line.start, last) >> kNearestBits == size - 1;
  };
  const auto read = [&](PositionLine at_x, PositionLine at_y, int64_t count, uint8_t* to) {
    int32_t places[kAtOnce];
    if (even) {
      nearest_pixels(at_x, at_y, size, 1, places);
      std::memcpy(to, in + places[0], static_cast<size_t>(count * 3));
      return;
    }
    for (int64_t some = 0; count > 0; count -= some, to += some * 3) {
      some = std::min(count, kAtOnce);
      nearest_pixels(at_x, at_y, size, some, places);
      const bool at_end = reaches_end(at_x, some) && reaches_end(at_y, some);
      (at_end ? copy_pixels<3> : copy_pixels<4>)(in, places, some, to);
      at_x.start += some * at_x.step;
      at_y.start += some * at_y.step;
    }
  };
  read_rows(x, y, kNearestBits, outside, size, out, read);
}

// The image with its border repeated around it, in rows of so many pixels.
int64_t extended_side(int64_t size) {
  return size + 2 * kBorder;
}

void extend(const uint8_t* in, int64_t size, uint8_t* to) {
  for (int64_t y = -kBorder; y < size + kBorder; ++y) {
    const uint8_t* row = in + std::clamp<int64_t>(y, 0, size - 1) * size * 3;
    const uint8_t* last = row + (size - 1) * 3;
    for (int64_t i = 0; i < kBorder; ++i, to += 3) std::memcpy(to, row, 3);
    std::memcpy(to, row, static_cast<size_t>(size * 3));
    to += size * 3;
    for (int64_t i = 0; i < kBorder; ++i, to += 3) std::memcpy(to, last, 3);
  }
}

// Whether all pixels lie in the middle of the source's.
bool is_whole(const Axis& axis) {
  constexpr int64_t kFraction = (int64_t{1} << kBetweenBits) - 1;
  const int64_t half = int64_t{1} << (kBetweenBits - 1);
  return (((axis.start - half) | axis.step | axis.row_step) & kFraction) == 0;
}

void warp_between(const Axis& x, const Axis& y, const Taps& taps, const uint8_t* outside,
                  const uint8_t* extended, int64_t stride, int64_t size, uint8_t* out) {
  // From a pixel's corner to the first that it is made of.
  const auto first_of = [](int count) {
    const int64_t before = count / 2 - (count > 1 ? 1 : 0);
    return ((kBorder - before) << kBetweenBits) - (int64_t{1} << (kBetweenBits - 1));
  };
  const int64_t to_x = first_of(taps.along_row), to_y = first_of(taps.along_column);
  read_rows(x, y, kBetweenBits, outside, size, out,
            [&](PositionLine at_x, PositionLine at_y, int64_t count, uint8_t* to) {
              at_x.start += to_x;
              at_y.start += to_y;
              blend_pixels(extended, stride, at_x, at_y, taps, count, to);
            });
}

}  // namespace

Affine rotation(double degrees, int64_t size) {
  const double angle = degrees * std::numbers::pi / 180;
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  const double middle = static_cast<double>(size) / 2;
  return {c, -s, middle - c * middle + s * middle, s, c, middle - s * middle - c * middle};
}

void warp(const Affine& map, const WarpStyle& style, const uint8_t* in, int64_t size, uint8_t* out,
          std::vector<uint8_t>& scratch) {
  const Axis x(map.xx, map.xy, map.x0, kBetweenBits), y(map.yx, map.yy, map.y0, kBetweenBits);
  const bool whole_x = is_whole(x), whole_y = is_whole(y);
  const bool nearest = style.sampling == Sampling::kNearest || (whole_x && whole_y);
  // A row of what is outside; the extended image.
  const int64_t side = nearest ? 0 : extended_side(size);
  scratch.resize(static_cast<size_t>(size * 3 + side * side * 3 + kSlack));
  uint8_t* outside = scratch.data();
  fill_pixels(outside, size, style.outside);
  if (nearest) return warp_nearest(map, outside, in, size, out);
  uint8_t* extended = outside + size * 3;
  extend(in, size, extended);
  const int taps = style.sampling == Sampling::kBilinear ? 2 : 4;
  warp_between(x, y, {whole_x ? 1 : taps, whole_y ? 1 : taps}, outside, extended, side * 3, size,
               out);
}

}  // namespace resnext
