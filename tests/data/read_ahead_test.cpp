// Reading ahead: what is read, and that no order depends on it.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/loader/read_ahead.h"

#include <gtest/gtest.h>

#include <chrono>
#include <span>
#include <thread>

#include "data/sampler.h"
#include "tests/data/data_loader_fixture.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::DataLoaderTest;
using testing::TemporaryFolder;

// Two processes of one host read all of a window between them, one of two hosts what it needs.
TEST_F(DataLoaderTest, BlocksAreReadAhead) {
  const auto all = static_cast<uint64_t>(kCount * 10 * 12 * 3);
  const auto bytes_of = [&](int rank, int world_size, HostShare host, uint64_t wanted) {
    LoaderOptions options;
    options.shuffle = Shuffle::kBlock;
    options.rank = rank;
    options.world_size = world_size;
    options.host = host;
    options.per_rank = 8 / world_size;
    DataLoader loader(*container_, recipe(), options);
    loader.start({0, 0});
    loader.next();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (loader.bytes_read_ahead() < wanted && std::chrono::steady_clock::now() < limit) {
      std::this_thread::yield();
    }
    return loader.bytes_read_ahead();
  };
  // The epoch and the one behind it: the set is smaller than a window.
  EXPECT_EQ(bytes_of(0, 1, {0, 1}, 2 * all), 2 * all);
  EXPECT_EQ(bytes_of(0, 2, {0, 2}, 2 * all) + bytes_of(1, 2, {1, 2}, 0), 2 * all)
      << "pieces of one joined read belong to one of them";
  LoaderOptions full;
  full.per_rank = 8;
  DataLoader loader(*container_, recipe(), full);
  loader.start({0, 0});
  loader.next();
  EXPECT_EQ(loader.bytes_read_ahead(), 0U);
}

// Walks several windows and epochs: every image once, whatever is read ahead.
TEST_F(DataLoaderTest, ReadingAheadChangesNoOrder) {
  constexpr int64_t kMany = 20000, kBatch = 1000;
  ContainerDescription description;
  description.height = description.width = 1;
  description.class_names = {"x"};
  {
    ContainerWriter writer(folder_ / "many.h5");
    for (int64_t i = 0; i < kMany; ++i) writer.append(Bytes(3, 0), 0);
    writer.finish(description);
  }
  const Container many(folder_ / "many.h5");
  RecipeOptions how;
  how.name = RecipeName::kNone;
  how.size = how.resize = 1;
  LoaderOptions options;
  options.shuffle = Shuffle::kBlock;
  options.per_rank = kBatch;
  DataLoader loader(many, Recipe(how), options);
  loader.start({3, 0});
  const Sampler sampler(kMany, SampleOrder{options.seed, Shuffle::kBlock});
  for (int64_t epoch = 3; epoch < 5; ++epoch) {
    const std::vector<int64_t> order = sampler.order(epoch);
    for (int64_t i = 0; i < kMany; i += kBatch) {
      EXPECT_EQ(loader.next().tally,
                tally_of(std::span(order).subspan(static_cast<size_t>(i), kBatch)));
    }
  }
}

TEST(JoinedPieces, AreInTheOrderOfTheFileAndSpanSmallGaps) {
  const TemporaryFolder folder;
  ContainerDescription description;
  description.storage = Storage::kJpeg;
  description.class_names = {"x"};
  constexpr uint64_t kBytes = 100 << 10;
  for (const char* name : {"a.h5", "b.h5"}) {
    ContainerWriter writer(folder / name);
    for (int i = 0; i < 10; ++i) writer.append(Bytes(kBytes, 1), 0);
    writer.finish(description);
  }
  const Container container(std::vector<ContainerSource>{{folder / "a.h5"}, {folder / "b.h5"}},
                            true);
  // One gap of one sample is read, one of two is not; the second file is a piece of its own.
  const auto pieces = joined_pieces(container, {9, 4, 1, 0, 2, 6, 10, 11});
  ASSERT_EQ(pieces.size(), 3U);
  const uint64_t start = pieces[0].offset;
  EXPECT_EQ(pieces[0].bytes, 7 * kBytes);  // 0 to 6
  EXPECT_EQ(pieces[1].offset, start + 9 * kBytes);
  EXPECT_EQ(pieces[1].bytes, kBytes);
  EXPECT_NE(pieces[2].file, pieces[1].file);
  EXPECT_EQ(pieces[2].offset, start);
  EXPECT_EQ(pieces[2].bytes, 2 * kBytes);
}

}  // namespace
}  // namespace resnext
