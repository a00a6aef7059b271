// Warps against Pillow's loops, written out, and closed forms.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/warp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "tests/data/vector_targets.h"

namespace resnext {
namespace {

using testing::for_each_target;
using testing::random_bytes;
using Bytes = std::vector<uint8_t>;

constexpr Colour kOutside = {9, 8, 7};

Bytes warped(const Affine& map, Sampling sampling, const Bytes& in, int64_t size) {
  Bytes out(in.size() + 1, 99), scratch;
  warp(map, {sampling, kOutside}, in.data(), size, out.data(), scratch);
  EXPECT_EQ(out.back(), 99) << "nothing is written beyond the end";
  out.pop_back();
  return out;
}

std::vector<Affine> maps(int64_t size) {
  KeyedRandom random(RandomUse::kAugment, 3, 1, static_cast<uint64_t>(size));
  std::vector<Affine> maps = {{}, {1, 0, 2, 0, 1, 0}, {1, 0, 0, 0, 1, -3}, {1, 0, 500, 0, 1, 0}};
  for (const double s : {0.033, 0.3, -0.66, 0.99}) {
    maps.push_back({1, s, 0, 0, 1, 0});
    maps.push_back({1, 0, 0, s, 1, 0});
  }
  for (const double degrees : {0.0, 4.5, 90.0, -90.0, 180.0, 31.5, -117.0, 135.0}) {
    maps.push_back(rotation(degrees, size));
  }
  for (int i = 0; i < 30; ++i) {
    const auto draw = [&](double range) { return random.uniform(-range, range); };
    maps.push_back({draw(2), draw(2), draw(9), draw(2), draw(2), draw(9)});
  }
  return maps;
}

// affine_fixed of Pillow's src/libImaging/Geometry.c, pixel by pixel.
Bytes nearest(const Affine& m, const Bytes& in, int64_t size) {
  const auto fixed = [](double x) { return static_cast<int64_t>(std::floor(x * 65536 + 0.5)); };
  Bytes out;
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      const int64_t sx =
          (fixed(m.x0 + m.xx * 0.5 + m.xy * 0.5) + x * fixed(m.xx) + y * fixed(m.xy)) >> 16;
      const int64_t sy =
          (fixed(m.y0 + m.yx * 0.5 + m.yy * 0.5) + x * fixed(m.yx) + y * fixed(m.yy)) >> 16;
      const bool inside = sx >= 0 && sx < size && sy >= 0 && sy < size;
      const uint8_t* p = inside ? &in[static_cast<size_t>((sy * size + sx) * 3)] : kOutside.data();
      out.insert(out.end(), p, p + 3);
    }
  }
  return out;
}

TEST(Warp, NearestEqualsPillowsFixedPoint) {
  for (const int64_t size : {1, 2, 3, 7, 16, 33, 224}) {
    const Bytes in = random_bytes(static_cast<size_t>(size * size * 3), 1);
    for (const Affine& map : maps(size)) {
      ASSERT_EQ(warped(map, Sampling::kNearest, in, size), nearest(map, in, size))
          << size << ": " << map.xx << " " << map.xy << " " << map.yx;
    }
  }
}

double cubic(const double (&v)[4], double d) {
  // Keys 1981 with a = -1, by its weights.
  const auto weight = [](double x) {
    return x < 1 ? 1 - 2 * x * x + x * x * x : 4 - 8 * x + 5 * x * x - x * x * x;
  };
  return v[0] * weight(1 + d) + v[1] * weight(d) + v[2] * weight(1 - d) + v[3] * weight(2 - d);
}

// In float64; where a position is as good as on the edge, nothing.
std::vector<double> between(const Affine& m, bool bicubic, const Bytes& in, int64_t size) {
  std::vector<double> out;
  const auto edge = [size](double s) {
    return std::min(std::abs(s), std::abs(s - static_cast<double>(size))) < 1e-6;
  };
  const auto pixel = [&](int64_t x, int64_t y, int64_t c) {
    const int64_t cx = std::clamp<int64_t>(x, 0, size - 1),
                  cy = std::clamp<int64_t>(y, 0, size - 1);
    return static_cast<double>(in[static_cast<size_t>((cy * size + cx) * 3 + c)]);
  };
  for (int64_t i = 0; i < size * size * 3; ++i) {
    const double x = static_cast<double>(i / 3 % size) + 0.5,
                 y = static_cast<double>(i / 3 / size) + 0.5;
    const double sx = m.xx * x + m.xy * y + m.x0, sy = m.yx * x + m.yy * y + m.y0;
    const auto end = static_cast<double>(size);
    if (edge(sx) || edge(sy)) {
      out.push_back(std::nan(""));
    } else if (sx < 0 || sx >= end || sy < 0 || sy >= end) {
      out.push_back(kOutside[static_cast<size_t>(i % 3)]);
    } else {
      const double fx = std::floor(sx - 0.5), fy = std::floor(sy - 0.5);
      const double dx = sx - 0.5 - fx, dy = sy - 0.5 - fy;
      double column[4];
      for (int64_t j = 0; j < 4; ++j) {
        double row[4];
        for (int64_t k = 0; k < 4; ++k) {
          row[k] = pixel(static_cast<int64_t>(fx) + k - 1, static_cast<int64_t>(fy) + j - 1, i % 3);
        }
        column[j] = bicubic ? cubic(row, dx) : row[1] * (1 - dx) + row[2] * dx;
      }
      out.push_back(bicubic ? cubic(column, dy) : column[1] * (1 - dy) + column[2] * dy);
    }
  }
  return out;
}

TEST(Warp, BetweenPixelsEqualsFloat64OnAllInstructionSets) {
  for (const int64_t size : {1, 2, 3, 7, 16, 33}) {
    const Bytes in = random_bytes(static_cast<size_t>(size * size * 3), 2);
    for (const Affine& map : maps(size)) {
      for (const bool bicubic : {false, true}) {
        const std::vector<double> want = between(map, bicubic, in, size);
        Bytes first;
        for_each_target([&](const char* name) {
          const Bytes out =
              warped(map, bicubic ? Sampling::kBicubic : Sampling::kBilinear, in, size);
          for (size_t i = 0; i < out.size(); ++i) {
            if (std::isnan(want[i])) continue;
            const double limited = std::clamp(want[i], 0.0, 255.0);
            ASSERT_LE(out[i], limited + 1e-3) << name << " " << size;
            ASSERT_GT(out[i], limited - 1 - 1e-3) << name << " " << size;
          }
          if (first.empty()) first = out;
          ASSERT_EQ(out, first) << name;
        });
      }
    }
  }
}

TEST(Warp, RightAnglesMoveWholePixels) {
  for (const int64_t size : {1, 2, 5, 8}) {
    const Bytes in = random_bytes(static_cast<size_t>(size * size * 3), 3);
    for (const Sampling sampling : {Sampling::kNearest, Sampling::kBilinear, Sampling::kBicubic}) {
      const Bytes out = warped(rotation(90, size), sampling, in, size);
      for (int64_t i = 0; i < size * size * 3; ++i) {
        const int64_t y = i / 3 / size, x = i / 3 % size;  // a column from the right
        ASSERT_EQ(out[static_cast<size_t>(i)],
                  in[static_cast<size_t>((x * size + size - 1 - y) * 3 + i % 3)]);
      }
      EXPECT_EQ(warped(rotation(0, size), sampling, in, size), in);
    }
  }
}

TEST(Warp, EqualPixelsStayTheSame) {
  constexpr int64_t kSize = 9;
  for (const uint8_t value : {0, 77, 255}) {
    const Bytes in(kSize * kSize * 3, value);
    for (const Sampling sampling : {Sampling::kBilinear, Sampling::kBicubic}) {
      Bytes out(in.size()), scratch;
      for (const Affine& map : maps(kSize)) {
        warp(map, {sampling, {value, value, value}}, in.data(), kSize, out.data(), scratch);
        ASSERT_EQ(out, in);
      }
    }
  }
}

}  // namespace
}  // namespace resnext
