// Sample order and shares: permutations, independence of the rank count, completeness.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "data/keyed_random.h"

namespace resnext {
namespace {

std::vector<int64_t> ascending(int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

TEST(KeyedRandom, IsAFunctionOfItsKeyOnly) {
  KeyedRandom a(RandomUse::kAugment, 1, 2, 3), b(RandomUse::kAugment, 1, 2, 3);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(a.next(), b.next());
  const auto first = [](RandomUse use, uint64_t s, uint64_t e, uint64_t i) {
    return KeyedRandom(use, s, e, i).next();
  };
  const uint64_t base = first(RandomUse::kAugment, 1, 2, 3);
  EXPECT_NE(base, first(RandomUse::kOrder, 1, 2, 3));
  EXPECT_NE(base, first(RandomUse::kAugment, 2, 1, 3));
  EXPECT_NE(base, first(RandomUse::kAugment, 1, 3, 2));
  EXPECT_NE(base, first(RandomUse::kAugment, 0, 2, 3));
}

TEST(KeyedRandom, HasTheRightMoments) {
  // One draw from each of many keys: what augmentation uses. Limits are 5 standard errors.
  constexpr int kDraws = 100000;
  double sum = 0, normal = 0, squares = 0;
  std::vector<int> bins(7, 0);
  for (uint64_t i = 0; i < kDraws; ++i) {
    KeyedRandom random(RandomUse::kAugment, 9, 0, i);
    sum += random.uniform();
    const double z = random.normal();
    normal += z;
    squares += z * z;
    ++bins[random.below(7)];
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.0046);
  EXPECT_NEAR(normal / kDraws, 0, 0.016);
  EXPECT_NEAR(squares / kDraws, 1, 0.023);
  for (const int bin : bins) EXPECT_NEAR(bin, kDraws / 7.0, 560);
}

TEST(Sampler, UsesEverySampleOnceInEachEpoch) {
  for (const Shuffle shuffle : {Shuffle::kFull, Shuffle::kBlock}) {
    for (const int64_t count : {1, 2, 3, 255, 256, 257, 5000, 20000}) {
      const Sampler sampler(count, 7, true, shuffle);
      for (const int64_t epoch : {0, 1, 5}) {
        std::vector<int64_t> order = sampler.order(epoch);
        std::sort(order.begin(), order.end());
        ASSERT_EQ(order, ascending(count));
      }
    }
  }
}

TEST(Sampler, OrderDependsOnSeedAndEpochOnly) {
  for (const Shuffle shuffle : {Shuffle::kFull, Shuffle::kBlock}) {
    const Sampler sampler(1000, 7, true, shuffle);
    EXPECT_EQ(sampler.order(3), Sampler(1000, 7, true, shuffle).order(3));
    EXPECT_NE(sampler.order(3), sampler.order(4));
    EXPECT_NE(sampler.order(3), Sampler(1000, 8, true, shuffle).order(3));
  }
  EXPECT_EQ(Sampler(100, 7, false).order(3), ascending(100));
}

// The same on every machine: computed once by an independent implementation in Python.
TEST(Sampler, OrderIsPortable) {
  const std::vector<int64_t> order = Sampler(10, 1, true).order(0);
  EXPECT_EQ(order, (std::vector<int64_t>{2, 4, 5, 3, 8, 1, 6, 7, 9, 0}));
}

// Each sample comes first equally often: 10000 epochs of 5 samples, limits of 5 standard errors.
TEST(Sampler, FullShuffleIsUniform) {
  const Sampler sampler(5, 3, true);
  std::vector<int> firsts(5, 0), lasts(5, 0);
  for (int64_t epoch = 0; epoch < 10000; ++epoch) {
    const auto order = sampler.order(epoch);
    ++firsts[static_cast<size_t>(order.front())];
    ++lasts[static_cast<size_t>(order.back())];
  }
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(firsts[i], 2000, 200);
    EXPECT_NEAR(lasts[i], 2000, 200);
  }
}

// Within 8192 positions at most 32 blocks of 256 (and a shorter one) are touched.
TEST(Sampler, BlockShuffleReadsNeighboursTogether) {
  const auto order = Sampler(40000, 3, true, Shuffle::kBlock).order(0);
  std::vector<int64_t> blocks;
  for (size_t i = 0; i < 8192; ++i) blocks.push_back(order[i] / 256);
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  EXPECT_LE(blocks.size(), 33U);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST(ShareOfRank, IsDisjointCompleteAndEven) {
  for (const int64_t count : {1, 2, 7, 8, 9, 63, 64, 65, 1000}) {
    for (const int64_t per_rank : {1, 3, 8}) {
      for (const int world : {1, 2, 3, 4, 7}) {
        const int64_t global = per_rank * world;
        const int64_t steps = (count + global - 1) / global;
        int64_t next = 0;
        for (int64_t step = 0; step < steps; ++step) {
          int64_t smallest = global, largest = 0;
          for (int rank = 0; rank < world; ++rank) {
            const Share share = share_of_rank(count, global, step * global, rank, world);
            ASSERT_EQ(share.begin, next);
            next = share.end;
            smallest = std::min(smallest, share.end - share.begin);
            largest = std::max(largest, share.end - share.begin);
          }
          ASSERT_LE(largest - smallest, 1);
          ASSERT_LE(largest, per_rank);
          if (step + 1 < steps) {
            ASSERT_EQ(smallest, per_rank);
          }
        }
        ASSERT_EQ(next, count);
        const Share beyond = share_of_rank(count, global, steps * global, 0, world);
        ASSERT_EQ(beyond.begin, beyond.end);
      }
    }
  }
}

// The union of all ranks' shares of a step is the same for all rank counts.
TEST(ShareOfRank, StepIsTheSameForAllRankCounts) {
  for (const int world : {1, 2, 3, 4, 6, 12}) {
    for (int64_t step = 0; step < 5; ++step) {
      EXPECT_EQ(share_of_rank(50, 12, step * 12, 0, world).begin, std::min<int64_t>(50, step * 12));
      EXPECT_EQ(share_of_rank(50, 12, step * 12, world - 1, world).end,
                std::min<int64_t>(50, step * 12 + 12));
    }
  }
}

// Walks an epoch with another batch and rank count after every few batches: whatever they are, the
// images come in the same order, each once, and fewer than one batch is left over.
TEST(Position, WalksAnEpochOnceWhateverTheBatches) {
  for (const int64_t count : {1, 7, 64, 320, 1000}) {
    for (unsigned draw = 0; draw < 200; ++draw) {
      std::mt19937 random(draw);
      Position position{3, 0};
      int64_t next = 0, global = 1;
      while (position.epoch == 3) {
        const int world = 1 + static_cast<int>(random() % 4);
        global = world * (1 + static_cast<int64_t>(random() % 20));
        position = at_full_batch(position, count, global);
        for (int batches = 1 + random() % 5; batches > 0 && position.epoch == 3; --batches) {
          for (int rank = 0; rank < world; ++rank) {
            const Share share = share_of_rank(count, global, position.images, rank, world);
            ASSERT_EQ(share.begin, next);
            ASSERT_EQ(share.end - share.begin, global / world);
            next = share.end;
          }
          position = after_batch(position, count, global);
        }
      }
      ASSERT_EQ(position, (Position{4, 0}));
      ASSERT_LE(next, count);
      ASSERT_LT(count - next, global);
    }
  }
}

// 50 updates of 8, then 3 ranks of 8: 10 more to the end of the second epoch, then 13 an epoch.
TEST(Position, CountsTheUpdatesOfAChangedRun) {
  Position position;
  int64_t updates = 0;
  for (; updates < 50; ++updates) position = after_batch(position, 320, 8);
  EXPECT_EQ(position, (Position{1, 80}));
  for (; position.epoch < 2; ++updates) position = after_batch(position, 320, 24);
  EXPECT_EQ(updates, 60);
  for (; position.epoch < 4; ++updates) position = after_batch(position, 320, 24);
  EXPECT_EQ(updates, 86);
}

}  // namespace
}  // namespace resnext
