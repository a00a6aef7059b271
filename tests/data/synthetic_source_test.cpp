// Synthetic images: the same everywhere, none like another, bytes as even as chance makes them.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/synthetic_source.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "data/container/container.h"

namespace resnext {
namespace {

constexpr int64_t kSide = 64;

std::vector<uint8_t> image(const Container& set, int64_t index) {
  std::vector<uint8_t> bytes;
  set.read_sample(index, bytes);
  return bytes;
}

TEST(SyntheticSource, IsAContainerWithoutAFile) {
  const Container set(SyntheticSet{.images = 7, .classes = 3, .side = kSide});
  EXPECT_TRUE(set.synthetic());
  EXPECT_EQ(set.count(), 7);
  EXPECT_EQ(set.classes(), 3);
  EXPECT_EQ(set.height(), kSide);
  EXPECT_EQ(set.width(), kSide);
  EXPECT_EQ(set.storage(), Storage::kRaw);
  EXPECT_EQ(set.class_counts(), (std::vector<int64_t>{3, 2, 2}));
  EXPECT_EQ(set.label(4), 1);
  EXPECT_EQ(image(set, 6).size(), static_cast<size_t>(kSide * kSide * 3));
}

TEST(SyntheticSource, AnImageIsAFunctionOfItsPlace) {
  const SyntheticSet description{.images = 3, .side = kSide};
  const Container one(description), other(description);
  const Container elsewhere(SyntheticSet{.images = 3, .side = kSide, .split = 1});
  const std::vector<uint8_t> last = image(one, 2);
  EXPECT_NE(image(one, 0), last);
  EXPECT_EQ(image(one, 2), last);
  EXPECT_EQ(image(other, 2), last);
  EXPECT_NE(image(elsewhere, 2), last);
}

TEST(SyntheticSource, ASideThatIsNoMultipleOfAWordIsFilledToItsEnd) {
  const Container set(SyntheticSet{.images = 64, .side = 3});  // 27 bytes
  int64_t last_bytes = 0;
  for (int64_t i = 0; i < set.count(); ++i) last_bytes += image(set, i).back() != 0 ? 1 : 0;
  EXPECT_GT(last_bytes, 32);
}

// Of n uniform bytes: mean 127.5, deviation of the mean sqrt((256^2 - 1) / 12 / n); each value n /
// 256 times with deviation sqrt(n / 256).
TEST(SyntheticSource, BytesAreUniform) {
  const Container set(SyntheticSet{.images = 4, .side = kSide});
  std::array<double, 256> counts{};
  double sum = 0, n = 0;
  for (int64_t i = 0; i < set.count(); ++i) {
    for (const uint8_t byte : image(set, i)) {
      ++counts[byte];
      sum += byte;
      ++n;
    }
  }
  EXPECT_NEAR(sum / n, 127.5, 5 * std::sqrt((256.0 * 256 - 1) / 12 / n));
  for (const double count : counts) EXPECT_NEAR(count, n / 256, 6 * std::sqrt(n / 256));
}

}  // namespace
}  // namespace resnext
