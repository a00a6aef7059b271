// The loader: sizes, augmentation, memory; damage, ends and errors.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/loader/data_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "comm/common/error.h"
#include "tests/data/data_loader_fixture.h"
#include "tests/support/thread_limit.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::DataLoaderTest;

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
