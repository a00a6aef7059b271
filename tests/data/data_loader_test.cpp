// The loader: the same images whatever threads, prefetch and ranks; resuming; ends and errors.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/data_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <thread>

#include "comm/common/error.h"
#include "data/read_ahead.h"
#include "tests/data/support.h"
#include "tests/support/thread_limit.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::TemporaryFolder;

constexpr int64_t kCount = 53;
constexpr int64_t kSize = 8;

// One image as it came out: its label (which identifies it) and its pixels.
using Item = std::pair<int64_t, Bytes>;
using Items = std::vector<Item>;

class DataLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // As many classes as images, so that a label names its image.
    testing::write_raw_container(folder_ / "a.h5", kCount, 10, 12, kCount);
    container_ = std::make_unique<Container>(folder_ / "a.h5");
  }

  static Recipe recipe(RecipeName name = RecipeName::kTorchvisionV2, bool training = true) {
    RecipeOptions options;
    options.name = name;
    options.size = kSize;
    options.resize = 9;
    options.training = training;
    return Recipe(options);
  }

  static void append(const Batch& batch, Items& items) {
    const auto bytes = static_cast<size_t>(kSize * kSize * 3);
    for (int64_t i = 0; i < batch.count; ++i) {
      const uint8_t* pixels = batch.pixels + static_cast<size_t>(i) * bytes;
      items.emplace_back(batch.labels[i], Bytes(pixels, pixels + bytes));
    }
  }

  // The next `steps` global batches, each put together from all ranks in order.
  Items steps(LoaderOptions options, int64_t global, Position from, int64_t steps) const {
    std::vector<Items> of_step(static_cast<size_t>(steps));
    options.per_rank = global / options.world_size / options.accumulation;
    for (int rank = 0; rank < options.world_size; ++rank) {
      options.rank = rank;
      DataLoader loader(*container_, recipe(), options);
      EXPECT_EQ(loader.global_batch(), global);
      loader.start(from);
      for (Items& items : of_step) {
        for (int64_t m = 0; m < options.accumulation; ++m) append(loader.next(), items);
      }
    }
    Items all;
    for (const Items& items : of_step) all.insert(all.end(), items.begin(), items.end());
    return all;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Container> container_;
};

TEST_F(DataLoaderTest, ImagesDoNotDependOnThreadsPrefetchOrRanks) {
  constexpr int64_t kGlobal = 12, kSteps = 10;  // more than two epochs of 4 steps
  LoaderOptions options;
  options.threads = 1;
  options.prefetch = 1;
  const Items reference = steps(options, kGlobal, {0, 0}, kSteps);
  ASSERT_EQ(reference.size(), static_cast<size_t>(kGlobal * kSteps));
  for (const int64_t threads : {1, 2, 4}) {
    for (const int64_t prefetch : {1, 4}) {
      for (const int world : {1, 2, 3, 4}) {
        options.threads = threads;
        options.prefetch = prefetch;
        options.world_size = world;
        ASSERT_EQ(steps(options, kGlobal, {0, 0}, kSteps), reference)
            << threads << " threads, prefetch " << prefetch << ", " << world << " ranks";
      }
    }
  }
  options.world_size = 2;
  options.accumulation = 3;
  EXPECT_EQ(steps(options, kGlobal, {0, 0}, kSteps), reference) << "accumulation";
}

// A place brings the order of its epoch; the next one is the loader's own.
TEST_F(DataLoaderTest, AnEpochIsFinishedInItsOrder) {
  constexpr int64_t kGlobal = 12;  // 4 steps an epoch
  const auto labels = [&](const LoaderOptions& options, const Position& from, int64_t count) {
    std::vector<int64_t> all;
    for (const Item& item : steps(options, kGlobal, from, count)) all.push_back(item.first);
    return all;
  };
  for (const int64_t repeats : {1, 3}) {
    LoaderOptions before, after;
    before.seed = 7;
    before.shuffle = Shuffle::kBlock;
    before.repeats = repeats;
    const SampleOrder order{before.seed, before.shuffle, before.repeats};
    for (const int world : {1, 2}) {
      before.world_size = after.world_size = world;
      std::vector<int64_t> expected = labels(before, {2, kGlobal}, 3);
      const std::vector<int64_t> next = labels(after, {3, 0}, 2);
      expected.insert(expected.end(), next.begin(), next.end());
      EXPECT_EQ(labels(after, {2, kGlobal, order}, 5), expected) << repeats << " " << world;
      EXPECT_NE(labels(after, {2, kGlobal}, 5), expected);
    }
  }
}

// Each image's copies look different, the same on any number of ranks and after any resume; an
// epoch has as many places as there are images.
TEST_F(DataLoaderTest, RepeatedImagesDoNotDependOnRanksOrResumes) {
  constexpr int64_t kGlobal = 12, kSteps = 9;
  LoaderOptions options;
  options.repeats = 3;
  options.threads = 2;
  const Items reference = steps(options, kGlobal, {0, 0}, kSteps);
  for (const int world : {2, 3, 4, 6}) {
    options.world_size = world;
    EXPECT_EQ(steps(options, kGlobal, {0, 0}, kSteps), reference) << world;
  }
  options.accumulation = 2;
  for (int64_t step = 0; step < kSteps; ++step) {
    const Items rest = steps(options, kGlobal, {step / 4, step % 4 * kGlobal}, kSteps - step);
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(), reference.begin() + step * kGlobal)) << step;
  }
  std::map<int64_t, std::set<Bytes>> looks;
  for (int64_t i = 0; i < kGlobal; ++i) {
    const Item& item = reference[static_cast<size_t>(i)];
    looks[item.first].insert(item.second);
  }
  EXPECT_EQ(looks.size(), 4U);
  for (const auto& [label, different] : looks) EXPECT_EQ(different.size(), 3U) << label;
}

// Each epoch has its size, whatever was decoded ahead; validation has the recipe's.
TEST_F(DataLoaderTest, EarlyEpochsHaveTheirSizes) {
  LoaderOptions options;
  options.per_rank = 20;
  options.prefetch = 5;
  options.early_sizes = {{1, 4}, {3, 6}};
  DataLoader loader(*container_, recipe(), options);
  for (const int64_t first : {0, 2}) {
    loader.start({first, 0});
    for (int64_t epoch = first; epoch < 5; ++epoch) {
      const int64_t expected = epoch < 1 ? 4 : epoch < 3 ? 6 : kSize;
      for (int64_t step = 0; step < 2; ++step) {
        const Batch batch = loader.next();
        ASSERT_EQ(batch.size, expected) << epoch;
        const Recipe alone = recipe().with_size(expected);
        RecipeScratch scratch;
        Bytes stored, out(static_cast<size_t>(alone.square_bytes()));
        container_->read_sample(batch.labels[19], stored);
        alone.apply({Storage::kRaw, stored, 10, 12}, {options.seed, epoch, batch.labels[19]},
                    scratch, out.data());
        EXPECT_TRUE(std::equal(out.begin(), out.end(), batch.pixels + 19 * alone.square_bytes()));
      }
    }
  }
  options.training = false;
  DataLoader validation(*container_, recipe(RecipeName::kNone, /*training=*/false), options);
  validation.start({0, 0});
  EXPECT_EQ(validation.next().size, kSize);
}

TEST_F(DataLoaderTest, ValidationRepeatsNothing) {
  LoaderOptions options;
  options.training = false;
  options.repeats = 4;
  options.per_rank = 20;
  DataLoader loader(*container_, recipe(RecipeName::kNone, /*training=*/false), options);
  loader.start({0, 0});
  Items all;
  for (Batch batch = loader.next(); batch.count > 0; batch = loader.next()) append(batch, all);
  std::set<int64_t> labels;
  for (const Item& item : all) labels.insert(item.first);
  EXPECT_EQ(all.size(), static_cast<size_t>(kCount));
  EXPECT_EQ(labels.size(), static_cast<size_t>(kCount));
}

TEST_F(DataLoaderTest, ResumingFromAnyPositionContinuesTheSequence) {
  constexpr int64_t kGlobal = 12, kSteps = 9;
  LoaderOptions options;
  options.threads = 2;
  const Items reference = steps(options, kGlobal, {0, 0}, kSteps);
  for (int64_t step = 0; step < kSteps; ++step) {
    const Items rest = steps(options, kGlobal, {step / 4, step % 4 * kGlobal}, kSteps - step);
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(), reference.begin() + step * kGlobal)) << step;
  }
  // A position without a full batch is the beginning of the next epoch.
  for (const int64_t images : {48, 49, 50, 51, 1000}) {
    EXPECT_EQ(steps(options, kGlobal, {0, images}, 1), steps(options, kGlobal, {1, 0}, 1));
  }
}

TEST_F(DataLoaderTest, StartsAgainAtAnyTime) {
  LoaderOptions options;
  options.threads = 3;
  options.per_rank = 6;
  DataLoader loader(*container_, recipe(), options);
  loader.start({0, 3});
  Items reference;
  append(loader.next(), reference);
  for (int round = 0; round < 30; ++round) {
    loader.start({2, 0});
    for (int i = 0; i < round % 4; ++i) loader.next();
    loader.start({0, 3});
    Items items;
    append(loader.next(), items);
    ASSERT_EQ(items, reference);
  }
}

TEST_F(DataLoaderTest, EpochsDifferAndUseEachImageAtMostOnce) {
  LoaderOptions options;
  options.per_rank = 10;
  DataLoader loader(*container_, recipe(), options);
  EXPECT_EQ(loader.steps_per_epoch(), 5);
  loader.start({0, 0});
  std::vector<std::vector<int64_t>> epochs(2);
  for (auto& labels : epochs) {
    for (int step = 0; step < 5; ++step) {
      const Batch batch = loader.next();
      ASSERT_EQ(batch.count, 10);
      labels.insert(labels.end(), batch.labels, batch.labels + batch.count);
    }
    EXPECT_EQ(std::set<int64_t>(labels.begin(), labels.end()).size(), 50U);
  }
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST_F(DataLoaderTest, AugmentationDiffersBetweenEpochs) {
  LoaderOptions options;
  options.per_rank = kCount;
  DataLoader loader(*container_, recipe(RecipeName::kTorchvision), options);
  loader.start({0, 0});
  Items first, second;
  append(loader.next(), first);
  append(loader.next(), second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  int equal = 0;
  for (size_t i = 0; i < first.size(); ++i) equal += first[i] == second[i] ? 1 : 0;
  EXPECT_LT(equal, 3);
}

TEST_F(DataLoaderTest, ValidationUsesEachImageOnceThenReturnsNothing) {
  for (const int world : {1, 2, 3, 4}) {
    for (const int64_t per_rank : {1, 4, 7, 64}) {
      for (const int64_t accumulation : {1, 2}) {
        std::vector<int64_t> seen;
        for (int rank = 0; rank < world; ++rank) {
          LoaderOptions options;
          options.rank = rank;
          options.world_size = world;
          options.per_rank = per_rank;
          options.accumulation = accumulation;
          options.training = false;
          DataLoader loader(*container_, recipe(RecipeName::kNone, false), options);
          for (int64_t start = 0; start < 2; ++start) {  // a second epoch is the same again
            loader.start({start, 0});
            std::vector<int64_t> labels;
            for (int64_t i = 0; i < loader.steps_per_epoch() * accumulation; ++i) {
              const Batch batch = loader.next();
              labels.insert(labels.end(), batch.labels, batch.labels + batch.count);
            }
            for (int i = 0; i < 3; ++i) EXPECT_EQ(loader.next().count, 0);
            if (start == 0) seen.insert(seen.end(), labels.begin(), labels.end());
            EXPECT_TRUE(std::is_sorted(labels.begin(), labels.end()));
          }
        }
        std::sort(seen.begin(), seen.end());
        ASSERT_EQ(seen.size(), static_cast<size_t>(kCount)) << world << " " << per_rank;
        for (int64_t i = 0; i < kCount; ++i) ASSERT_EQ(seen[static_cast<size_t>(i)], i);
      }
    }
  }
}

TEST_F(DataLoaderTest, BatchStaysValidUntilTheNext) {
  LoaderOptions options;
  options.per_rank = 4;
  options.prefetch = 1;
  DataLoader loader(*container_, recipe(RecipeName::kNone), options);
  loader.start({0, 0});
  for (int i = 0; i < 40; ++i) {
    const Batch batch = loader.next();
    Items once, twice;
    append(batch, once);
    std::this_thread::yield();
    append(batch, twice);
    ASSERT_EQ(once, twice);
  }
}

TEST_F(DataLoaderTest, UsesTheGivenMemory) {
  std::vector<std::pair<const std::byte*, size_t>> given;
  LoaderOptions options;
  options.per_rank = 4;
  options.prefetch = 2;
  options.allocate = [&](size_t bytes) {
    std::shared_ptr<std::byte> memory(new std::byte[bytes], std::default_delete<std::byte[]>());
    given.emplace_back(memory.get(), bytes);
    return memory;
  };
  DataLoader loader(*container_, recipe(), options);
  ASSERT_EQ(given.size(), 3U);
  loader.start({0, 0});
  const auto* pixels = reinterpret_cast<const std::byte*>(loader.next().pixels);
  EXPECT_TRUE(std::any_of(given.begin(), given.end(), [&](auto& g) { return g.first == pixels; }));
  EXPECT_EQ(given[0].second, static_cast<size_t>(4 * kSize * kSize * 3));
}

TEST_F(DataLoaderTest, ADamagedSampleReachesNextAsDataError) {
  const std::string path = folder_ / "bad.h5";
  testing::write_raw_container(path, kCount, 10, 12, kCount);
  const Bytes pixels = testing::make_image(10, 12, 17).pixels;
  Bytes file = testing::read_bytes(path);
  *std::search(file.begin(), file.end(), pixels.begin(), pixels.end()) ^= 1;
  testing::write_bytes(path, file);
  const Container damaged(path);
  LoaderOptions options;
  options.training = false;
  options.per_rank = 5;
  DataLoader loader(damaged, recipe(RecipeName::kNone, false), options);
  loader.start({0, 0});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(loader.next().count, 5);
  for (int i = 0; i < 2; ++i) {
    try {
      loader.next();
      FAIL() << "the damage was not noticed";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("sample 17"), std::string::npos) << error.what();
    }
  }
  loader.start({0, 20});
  EXPECT_EQ(loader.next().labels[0], 20);
}

TEST_F(DataLoaderTest, AnUndecodableSampleIsNamed) {
  const std::string path = folder_ / "bad.h5";
  ContainerDescription description;
  description.storage = Storage::kJpeg;
  description.class_names = {"x"};
  ContainerWriter writer(path);
  writer.append(Bytes(50, 1), 0);
  writer.finish(description);
  const Container damaged(path);
  LoaderOptions options;
  options.per_rank = 1;
  DataLoader loader(damaged, recipe(), options);
  loader.start({0, 0});
  try {
    loader.next();
    FAIL() << "the damage was not noticed";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("sample 0: is no JPEG, PNG"), std::string::npos)
        << error.what();
  }
}

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

TEST_F(DataLoaderTest, RefusesAGlobalBatchLargerThanTheSet) {
  LoaderOptions options;
  options.per_rank = kCount + 1;
  EXPECT_THROW(DataLoader(*container_, recipe(), options), ConfigError);
  options.training = false;
  EXPECT_NO_THROW(DataLoader(*container_, recipe(RecipeName::kNone, false), options));
  options.threads = 0;
  EXPECT_THROW(DataLoader(*container_, recipe(), options), ConfigError);
}

TEST_F(DataLoaderTest, StopsWithWorkInFlight) {
  for (int i = 0; i < 50; ++i) {
    LoaderOptions options;
    options.per_rank = 8;
    DataLoader loader(*container_, recipe(), options);
    if (i % 3 == 0) continue;  // never started
    loader.start({i, 0});
    if (i % 3 == 1) loader.next();
  }
}

// What has been started must be told to stop: the constructor would wait for it without end.
TEST_F(DataLoaderTest, EndsWhenTheSystemGivesNoMoreThreads) {
  for (const int given : {3, 1, 0}) {
    const test::ThreadLimit limit(given);
    LoaderOptions options;
    options.per_rank = 4;
    try {
      const DataLoader loader(*container_, recipe(), options);
      ADD_FAILURE() << "no error";
    } catch (const ConfigError& error) {
      const std::string expected = "only " + std::to_string(given) + " of 4";
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

TEST_F(DataLoaderTest, CountsItsWaiting) {
  LoaderOptions options;
  options.per_rank = 4;
  DataLoader loader(*container_, recipe(), options);
  loader.start({0, 0});
  loader.next();
  EXPECT_GE(loader.take_wait_ms(), 0);
  EXPECT_EQ(loader.take_wait_ms(), 0);
}

}  // namespace
}  // namespace resnext
