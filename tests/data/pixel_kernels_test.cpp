// The vector loops against plain ones, for every instruction set of this machine.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/pixel_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "data/keyed_random.h"
#include "tests/data/vector_targets.h"

namespace resnext {
namespace {

using testing::for_each_target;
using testing::random_bytes;

uint8_t to_byte(int64_t sum) {
  return static_cast<uint8_t>(std::clamp<int64_t>((sum + (1 << 21)) >> kWeightBits, 0, 255));
}

// Weights that sum to about 1, some negative, as bicubic ones are.
std::vector<int32_t> random_weights(size_t count, int64_t taps, uint64_t number) {
  KeyedRandom random(RandomUse::kAugment, 9, 0, number);
  std::vector<int32_t> weights(count);
  const double one = 1 << kWeightBits;
  for (int32_t& w : weights) {
    w = static_cast<int32_t>(one * random.uniform(-0.2, 2.2) / static_cast<double>(taps));
  }
  return weights;
}

TEST(PixelKernels, SumAlongColumnEqualsPlainSums) {
  for_each_target([](const char* name) {
    for (int64_t bytes = 1; bytes < 150; bytes += 7) {
      for (const int64_t taps : {1, 2, 5}) {
        const int64_t stride = bytes + 3;
        const auto in = random_bytes(static_cast<size_t>(stride * taps), 1);
        const auto weights = random_weights(static_cast<size_t>(taps), taps, 1);
        std::vector<uint8_t> out(static_cast<size_t>(bytes) + 1, 99);
        sum_along_column(in.data(), stride, weights.data(), taps, bytes, out.data());
        for (int64_t x = 0; x < bytes; ++x) {
          int64_t sum = 0;
          for (int64_t t = 0; t < taps; ++t) {
            sum +=
                int64_t{weights[static_cast<size_t>(t)]} * in[static_cast<size_t>(x + t * stride)];
          }
          ASSERT_EQ(out[static_cast<size_t>(x)], to_byte(sum)) << name << " " << bytes;
        }
        ASSERT_EQ(out.back(), 99) << name << ": nothing is written beyond the end";
      }
    }
  });
}

TEST(PixelKernels, SumAlongRowsEqualsPlainSums) {
  for_each_target([](const char* name) {
    for (int64_t width = 3; width < 30; ++width) {
      constexpr int64_t kTaps = 3;
      const int64_t out_width = width - kTaps + 1, rows = 1 + width % kRowsAtOnce;
      const int64_t stride = width * 3 + 2;
      // Exactly: no byte to spare.
      const auto in = random_bytes(static_cast<size_t>((rows - 1) * stride + width * 3), 2);
      const auto weights = random_weights(static_cast<size_t>(out_width * kTaps), kTaps, 2);
      std::vector<int64_t> first, used;
      for (int64_t i = 0; i < out_width; ++i) {
        first.push_back(i);
        used.push_back(i % 2 == 0 ? kTaps : kTaps - 1);
      }
      std::vector<uint8_t> columns, out(static_cast<size_t>(rows * out_width * 3) + 1, 99);
      sum_along_rows({in.data(), stride, rows, width},
                     {weights.data(), first.data(), used.data(), kTaps}, out_width, columns,
                     out.data());
      for (int64_t j = 0; j < rows * out_width * 3; ++j) {
        const int64_t i = j % (out_width * 3);
        int64_t sum = 0;
        for (int64_t t = 0; t < used[static_cast<size_t>(i / 3)]; ++t) {
          sum += int64_t{weights[static_cast<size_t>(i / 3 * kTaps + t)]} *
                 in[static_cast<size_t>(j / (out_width * 3) * stride + (i / 3 + t) * 3 + i % 3)];
        }
        ASSERT_EQ(out[static_cast<size_t>(j)], to_byte(sum)) << name << " " << width;
      }
      ASSERT_EQ(out.back(), 99) << name << ": nothing is written beyond the end";
    }
  });
}

TEST(PixelKernels, BlendAlongRowsEqualsPlainSums) {
  for_each_target([](const char* name) {
    for (int64_t width = 1; width < 20; ++width) {
      const int64_t taps = std::min<int64_t>(4, width), out_width = width - taps + 1;
      const int64_t rows = 1 + width % kRowsAtOnce, stride = width * 3 + 1;
      const auto in = random_bytes(static_cast<size_t>((rows - 1) * stride + width * 3), 4);
      KeyedRandom random(RandomUse::kAugment, 9, 0, 4);
      std::vector<float> weights(static_cast<size_t>(out_width * 4));
      for (float& w : weights) w = static_cast<float>(random.uniform(-0.2, 0.8));
      std::vector<int64_t> first, used;
      for (int64_t i = 0; i < out_width; ++i) {
        first.push_back(i);
        used.push_back(taps);
      }
      std::vector<uint8_t> columns;
      std::vector<float> out(static_cast<size_t>(rows * out_width * 3) + 1, -7);
      const PixelMap map{{1.5F, -0.25F, 0.125F, 0, 1, 0, -1, 0.5F, 2}, {-20, 0.25F, 10}};
      blend_along_rows({in.data(), stride, rows, width},
                       {weights.data(), first.data(), used.data(), 4}, out_width, map, columns,
                       out.data());
      for (int64_t j = 0; j < rows * out_width * 3; ++j) {
        const int64_t i = j % (out_width * 3);
        double want = map.shift[i % 3];
        for (int64_t t = 0; t < taps; ++t) {
          for (int64_t c = 0; c < 3; ++c) {
            want += double{map.matrix[i % 3 * 3 + c]} *
                    weights[static_cast<size_t>(i / 3 * 4 + t)] *
                    in[static_cast<size_t>(j / (out_width * 3) * stride + (i / 3 + t) * 3 + c)];
          }
        }
        ASSERT_NEAR(out[static_cast<size_t>(j)], want, 5e-4) << name << " " << width;
      }
      ASSERT_EQ(out.back(), -7) << name << ": nothing is written beyond the end";
    }
  });
}

TEST(PixelKernels, BlendAlongColumnEqualsPlainSums) {
  for_each_target([](const char* name) {
    const float weights[4] = {-0.1F, 0.7F, 0.6F, -0.2F};
    for (int64_t count = 1; count < 70; ++count) {
      const auto bytes = random_bytes(static_cast<size_t>(count * 4), 5);
      const std::vector<float> in(bytes.begin(), bytes.end());
      std::vector<float> out(static_cast<size_t>(count) + 1, -7);
      blend_along_column(
          {in.data(), in.data() + count, in.data() + 2 * count, in.data() + 3 * count}, weights,
          count, out.data());
      for (size_t x = 0; x < static_cast<size_t>(count); ++x) {
        double sum = 0;
        for (size_t t = 0; t < 4; ++t)
          sum += double{weights[t]} * in[x + t * static_cast<size_t>(count)];
        ASSERT_NEAR(out[x], sum, 1e-4) << name << " " << count;
      }
      ASSERT_EQ(out.back(), -7) << name;
    }
  });
}

TEST(PixelKernels, SumColoursEqualsPlainSums) {
  for_each_target([](const char* name) {
    KeyedRandom random(RandomUse::kAugment, 9, 0, 6);
    for (int64_t width = 1; width < 70; ++width) {
      const int64_t height = 1 + width % 7, stride = 3 * width + width % 3;
      const auto pixels = random_bytes(static_cast<size_t>((height - 1) * stride + 3 * width), 6);
      std::vector<float> rows(static_cast<size_t>(height)), columns;
      for (float& share : rows) share = random.chance(0.3) ? 0 : 0.1F;
      for (int64_t i = 0; i < 3 * width; ++i) {
        columns.push_back(static_cast<float>(random.uniform(-0.2, 0.8)));
      }
      columns.resize(columns.size() + PixelShares::kPadding, 0);
      double sums[3], want[3] = {};
      for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < 3 * width; ++x) {
          want[x % 3] += double{rows[static_cast<size_t>(y)]} * columns[static_cast<size_t>(x)] *
                         pixels[static_cast<size_t>(y * stride + x)];
        }
      }
      sum_colours({pixels.data(), stride, height, width, rows.data(), columns.data()}, sums);
      for (int c = 0; c < 3; ++c) ASSERT_NEAR(sums[c], want[c], 2e-3) << name << " " << width;
    }
  });
}

}  // namespace
}  // namespace resnext
