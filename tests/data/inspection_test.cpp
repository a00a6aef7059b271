// Verifying a container, and the ordered parallel loop under it.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/inspection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "comm/common/error.h"
#include "data/image/jpeg_encoder.h"
#include "data/loader/ordered_parallel.h"
#include "data/pack/resumable_pack.h"
#include "data/pack/shuffle_quality.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::make_image;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::write_bytes;

Bytes as_bytes(const std::string& s) {
  return {s.begin(), s.end()};
}

TEST(Verify, CountsAndNamesBadSamples) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  testing::write_jpeg_container(path, 12, 30, 30, 2);
  const auto quiet = [](int64_t, int64_t) {};
  EXPECT_EQ(verify_container(path, 2, quiet).bad, 0);
  // A correct checksum over bytes that cannot be decoded, and a wrong checksum.
  ContainerDescription description;
  description.storage = Storage::kJpeg;
  description.class_names = {"x"};
  {
    ContainerWriter writer(path);
    writer.append(encode_jpeg(make_image(9, 9, 1).view(), 90), 0);
    writer.append(as_bytes("not an image"), 0);
    writer.append(as_bytes("spoiled later"), 0);
    writer.finish(description);
  }
  Bytes file = read_bytes(path);
  const Bytes word = as_bytes("spoiled");
  *std::search(file.begin(), file.end(), word.begin(), word.end()) ^= 4;
  write_bytes(path, file);
  const Verification result = verify_container(path, 2, quiet);
  EXPECT_EQ(result.count, 3);
  EXPECT_EQ(result.bad, 2);
  ASSERT_EQ(result.first_bad.size(), 2U);
  EXPECT_NE(result.first_bad[0].find("sample 1"), std::string::npos);
  EXPECT_NE(result.first_bad[1].find("sample 2"), std::string::npos);
}

// C(4, 2) = 6 pairs of 4 images, of which one is of one class alone.
TEST(ShuffleQuality, ExpectsTheMeanOverAllBatches) {
  EXPECT_NEAR(expected_classes({2, 1, 1}, 2), (1 + 5 * 2) / 6.0, 1e-12);
  EXPECT_NEAR(expected_classes({2, 0, 1, 1}, 4), 3, 1e-12);
  EXPECT_NEAR(expected_classes(std::vector<int64_t>(1000, 1281), 256), 226, 1);
}

// 1000 classes of 30 images of one pixel, in order of class or mixed as packing does. The number of
// classes in one batch has a deviation of 5, so the mean of 117 batches one of 0.5.
TEST(ShuffleQuality, BlocksAreAsGoodAsAFullShuffleWhereTheFileIsShuffled) {
  const TemporaryFolder folder;
  constexpr int64_t kClasses = 1000, kEach = 30, kBatch = 256;
  const double expected = expected_classes(std::vector<int64_t>(kClasses, kEach), kBatch);
  for (const PackOrder order : {PackOrder::kSource, PackOrder::kShuffled}) {
    const std::string path = folder / "a.h5";
    ContainerDescription description;
    description.height = description.width = 1;
    for (int64_t c = 0; c < kClasses; ++c) description.class_names.push_back(std::to_string(c));
    {
      ContainerWriter writer(path);
      for (const int64_t i : packing_order({.order = order}, kClasses * kEach)) {
        writer.append(Bytes(3, 0), i / kEach);
      }
      writer.finish(description);
    }
    const Container container(path);
    EXPECT_NEAR(mean_classes(container, Shuffle::kFull, kBatch), expected, 2.5);
    const double block = mean_classes(container, Shuffle::kBlock, kBatch);
    if (order == PackOrder::kShuffled) {
      EXPECT_NEAR(block, expected, 2.5);
    } else {
      EXPECT_LT(block, 0.85 * expected) << "as before";
    }
  }
}

TEST(OrderedParallel, HandsOverInOrderAndStopsAtTheFirstError) {
  std::atomic<int64_t> produced = 0;
  std::vector<int64_t> consumed;
  const auto square = [&](int64_t i) {
    ++produced;
    if (i == 500) throw DataError("here", "no", "stop");
    return i * i;
  };
  const auto keep = [&](int64_t i, int64_t result) {
    EXPECT_EQ(result, i * i);
    consumed.push_back(i);
  };
  EXPECT_THROW(ordered_parallel(100000, 4, square, keep), DataError);
  EXPECT_EQ(consumed.size(), 500U);
  EXPECT_LE(produced, 501 + 16) << "work is bounded by what waits";
  consumed.clear();
  ordered_parallel(300, 3, square, keep);
  EXPECT_EQ(consumed.size(), 300U);
}

}  // namespace
}  // namespace resnext
