// The vector loops of augmentation against plain ones, for every instruction set of this machine.
// SPDX-License-Identifier: BSD-3-Clause
#define HWY_WANT_AVX3_DL  // as augment_kernels.cpp

#include "data/augment/augment_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/data/vector_targets.h"

namespace resnext {
namespace {

using testing::for_each_target;
using testing::random_bytes;
using Bytes = std::vector<uint8_t>;

ByteTable random_table(uint64_t number) {
  ByteTable table{};
  const Bytes bytes = random_bytes(256, number);
  std::copy(bytes.begin(), bytes.end(), table.begin());
  return table;
}

// Numbers of pixels around each vector's length.
constexpr int64_t kMost = 210;

// `work` on `in`, to another place and in its own; nothing is written beyond the end.
template <typename Work>
Bytes worked(const Bytes& in, const char* name, const Work& work) {
  Bytes out(in.size() + 1, 99), place = in;
  work(in.data(), out.data());
  work(place.data(), place.data());
  EXPECT_EQ(out.back(), 99) << name;
  out.pop_back();
  EXPECT_EQ(place, out) << name << ": in place";
  return out;
}

TEST(AugmentKernels, LookUpEqualsTheTable) {
  const ByteTable table = random_table(1);
  for_each_target([&](const char* name) {
    for (size_t bytes = 0; bytes < 300; ++bytes) {
      const Bytes in = random_bytes(bytes, 2);
      const Bytes out = worked(in, name, [&](const uint8_t* from, uint8_t* to) {
        look_up(table, from, static_cast<int64_t>(bytes), to);
      });
      for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(out[i], table[in[i]]) << name << " " << bytes;
    }
  });
}

TEST(AugmentKernels, EachChannelHasItsTable) {
  const std::array<ByteTable, 3> tables = {random_table(3), random_table(4), random_table(5)};
  for_each_target([&](const char* name) {
    for (int64_t count = 1; count < kMost; ++count) {
      const Bytes in = random_bytes(static_cast<size_t>(3 * count), 6);
      const Bytes out = worked(
          in, name, [&](const uint8_t* from, uint8_t* to) { look_up(tables, from, count, to); });
      for (size_t i = 0; i < in.size(); ++i) ASSERT_EQ(out[i], tables[i % 3][in[i]]) << name;
    }
  });
}

TEST(AugmentKernels, RangeIsOfEachChannel) {
  for_each_target([](const char* name) {
    for (int64_t count = 1; count < kMost; ++count) {
      Bytes in(static_cast<size_t>(3 * count));
      for (size_t i = 0; i < in.size(); ++i) {
        in[i] = static_cast<uint8_t>(random_bytes(1, i)[0] % 40 + 60 * (i % 3));
      }
      // The extremes at any place.
      const auto at = static_cast<size_t>(count * 7 / 9 * 3);
      in[at] = 3, in[at + 1] = 250;
      const ColourRange range = colour_range(in.data(), count);
      for (size_t c = 0; c < 3; ++c) {
        uint8_t low = 255, high = 0;
        for (size_t i = c; i < in.size(); i += 3) {
          low = std::min(low, in[i]);
          high = std::max(high, in[i]);
        }
        ASSERT_EQ(range.low[c], low) << name << " " << count;
        ASSERT_EQ(range.high[c], high) << name << " " << count;
      }
    }
  });
}

int grey_of(const uint8_t* p) {
  return (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 32768) / 65536;
}

TEST(AugmentKernels, SumOfGreysEqualsPlainSum) {
  for_each_target([](const char* name) {
    for (const int64_t count : {1, 2, 3, 15, 16, 17, 100, 65535, 65536, 65537, 140000}) {
      const Bytes in = random_bytes(static_cast<size_t>(3 * count), 7);
      int64_t sum = 0;
      for (size_t i = 0; i < in.size(); i += 3) sum += grey_of(&in[i]);
      ASSERT_EQ(sum_of_greys(in.data(), count), sum) << name << " " << count;
    }
  });
}

uint8_t blended(int from, int to, float factor) {
  const float step = factor * static_cast<float>(to - from);
  return static_cast<uint8_t>(std::clamp(static_cast<float>(from) + step, 0.0F, 255.0F));
}

TEST(AugmentKernels, BlendFromGreyEqualsPlainBlend) {
  for_each_target([](const char* name) {
    for (const float factor : {0.0F, 0.3F, 1.0F, 1.33F, 1.99F}) {
      for (int64_t count = 1; count < 70; ++count) {
        const Bytes in = random_bytes(static_cast<size_t>(3 * count), 8);
        const Bytes out = worked(in, name, [&](const uint8_t* from, uint8_t* to) {
          blend_from_grey(factor, from, count, to);
        });
        for (size_t i = 0; i < in.size(); ++i) {
          ASSERT_EQ(out[i], blended(grey_of(&in[i / 3 * 3]), in[i], factor)) << name << factor;
        }
      }
    }
  });
}

void expect_sharpened(const char* name, int64_t size, float factor) {
  const int64_t stride = 3 * size;
  const Bytes in = random_bytes(static_cast<size_t>(size * stride), 9);
  Bytes out(in.size() + 1, 99);
  blend_from_smooth(factor, in.data(), size, out.data());
  for (int64_t i = 0; i < size * stride; ++i) {
    const int64_t y = i / stride, x = i % stride / 3;
    const uint8_t* p = &in[static_cast<size_t>(i)];
    uint8_t want = *p;
    if (y > 0 && y + 1 < size && x > 0 && x + 1 < size) {
      double sum = 4.0 * *p;
      for (const int64_t row : {-stride, int64_t{0}, stride})
        sum += p[row - 3] + p[row] + p[row + 3];
      want = blended(static_cast<int>(std::lround(sum / 13)), *p, factor);
    }
    ASSERT_EQ(out[static_cast<size_t>(i)], want) << name << " " << size << " at " << i;
  }
  ASSERT_EQ(out.back(), 99) << name;
}

TEST(AugmentKernels, BlendFromSmoothEqualsPlainBlend) {
  for_each_target([](const char* name) {
    for (int64_t size = 1; size < 40; ++size) expect_sharpened(name, size, 1.7F);
    for (const int64_t size : {341, 344, 350}) expect_sharpened(name, size, 0.2F);
  });
}

// Also where all neighbours are bright: the largest sums.
TEST(AugmentKernels, SmoothIsRoundedForAllSums) {
  for_each_target([](const char* name) {
    for (int middle = 0; middle < 256; ++middle) {
      for (const int last : {0, 100, 247, 255}) {
        Bytes in(27, 255), out(27);
        for (size_t c = 0; c < 3; ++c) {
          in[12 + c] = static_cast<uint8_t>(middle);
          in[24 + c] = static_cast<uint8_t>(last);
        }
        blend_from_smooth(0, in.data(), 3, out.data());
        ASSERT_EQ(out[13], std::lround((7 * 255 + last + 5 * middle) / 13.0)) << name;
      }
    }
  });
}

}  // namespace
}  // namespace resnext
