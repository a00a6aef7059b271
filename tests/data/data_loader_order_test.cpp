// The loader's order: the same images whatever threads, prefetch and ranks; resuming; each once.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/data/data_loader_fixture.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::DataLoaderTest;

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

}  // namespace
}  // namespace resnext
