// Nearest, bilinear and bicubic reading of a mapped image.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/warp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

namespace resnext {
namespace {

struct Source {
  const uint8_t* pixels;
  int64_t size;

  const uint8_t* at(int64_t x, int64_t y) const {
    const auto inside = [this](int64_t i) { return std::clamp<int64_t>(i, 0, size - 1); };
    return pixels + (inside(y) * size + inside(x)) * 3;
  }
};

// `d` of the way between the two numbers in the middle; of equal numbers exactly theirs.
double between(const std::array<double, 2>& v, double d) {
  return v[0] + (v[1] - v[0]) * d;
}

double between(const std::array<double, 4>& v, double d) {
  const double slope = v[2] - v[0];
  const double square = 2 * (v[0] - v[1]) + v[2] - v[3];
  const double cube = -v[0] + v[1] - v[2] + v[3];
  return v[1] + d * (slope + d * (square + d * cube));
}

// From the N x N pixels around (x, y): rows first.
template <size_t N>
void blend(const Source& source, double x, double y, uint8_t* out) {
  constexpr int64_t kBefore = N / 2 - 1;
  const double left = std::floor(x - 0.5), top = std::floor(y - 0.5);
  for (size_t c = 0; c < 3; ++c) {
    std::array<double, N> column{}, row{};
    for (size_t j = 0; j < N; ++j) {
      for (size_t i = 0; i < N; ++i) {
        row[i] = source.at(static_cast<int64_t>(left) + static_cast<int64_t>(i) - kBefore,
                           static_cast<int64_t>(top) + static_cast<int64_t>(j) - kBefore)[c];
      }
      column[j] = between(row, x - 0.5 - left);
    }
    out[c] = static_cast<uint8_t>(std::clamp(between(column, y - 0.5 - top), 0.0, 255.0));
  }
}

// What read(x, y, out) finds where the map leads from the middle of each pixel.
template <typename Read>
void read_all(const Affine& map, const Colour& outside, int64_t size, uint8_t* pixels,
              const Read& read) {
  const auto inside = [end = static_cast<double>(size)](double x) { return x >= 0 && x < end; };
  for (int64_t y = 0; y < size; ++y) {
    const double cy = static_cast<double>(y) + 0.5;
    const double xy = map.xy * cy, yy = map.yy * cy;
    for (int64_t x = 0; x < size; ++x, pixels += 3) {
      const double cx = static_cast<double>(x) + 0.5;
      const double sx = map.xx * cx + xy + map.x0;
      const double sy = map.yx * cx + yy + map.y0;
      if (inside(sx) && inside(sy)) {
        read(sx, sy, pixels);
      } else {
        std::memcpy(pixels, outside.data(), 3);
      }
    }
  }
}

}  // namespace

Affine rotation(double degrees, int64_t size) {
  const double angle = degrees * std::numbers::pi / 180;
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  const double middle = static_cast<double>(size) / 2;
  return {c, -s, middle - c * middle + s * middle, s, c, middle - s * middle - c * middle};
}

void warp(const Affine& map, const WarpStyle& style, uint8_t* pixels, int64_t size,
          std::vector<uint8_t>& scratch) {
  scratch.assign(pixels, pixels + size * size * 3);
  const Source source{scratch.data(), size};
  const auto all = [&](const auto& read) { read_all(map, style.outside, size, pixels, read); };
  switch (style.sampling) {
    case Sampling::kNearest:
      return all([&](double x, double y, uint8_t* out) {
        const auto column = static_cast<int32_t>(x), row = static_cast<int32_t>(y);
        std::memcpy(out, source.pixels + (row * size + column) * 3, 3);
      });
    case Sampling::kBilinear:
      return all([&](double x, double y, uint8_t* out) { blend<2>(source, x, y, out); });
    case Sampling::kBicubic:
      return all([&](double x, double y, uint8_t* out) { blend<4>(source, x, y, out); });
  }
}

}  // namespace resnext
