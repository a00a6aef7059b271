// Sample order and shares: permutations, independence of the rank count, completeness.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

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
      const Sampler sampler(count, SampleOrder{7, shuffle});
      for (const int64_t epoch : {0, 1, 5}) {
        std::vector<int64_t> order = sampler.order(epoch);
        std::sort(order.begin(), order.end());
        ASSERT_EQ(order, ascending(count));
      }
    }
  }
}

// ---- repeated augmentation
// ------------------------------------------------------------------------

// The places that torchvision's RASampler (references/classification/sampler.py) gives the ranks
// for their b-th batch of `per_rank`, and the samples there.
struct Dealt {
  std::vector<int64_t> places, samples;
};
Dealt dealt(const std::vector<int64_t>& permutation, int64_t repeats, int64_t world,
            int64_t per_rank, int64_t b) {
  std::vector<int64_t> repeated;
  for (const int64_t sample : permutation) repeated.insert(repeated.end(), repeats, sample);
  Dealt all;
  for (int64_t rank = 0; rank < world; ++rank) {
    for (int64_t i = b * per_rank; i < (b + 1) * per_rank; ++i) {
      all.places.push_back(rank + i * world);
      all.samples.push_back(repeated[static_cast<size_t>(all.places.back())]);
    }
  }
  return all;
}

std::vector<int64_t> sorted(std::vector<int64_t> items) {
  std::ranges::sort(items);
  return items;
}

TEST(RepeatedSampler, TakesWhatTorchvisionsTakes) {
  constexpr int64_t kCount = 512;
  for (const int64_t repeats : {2, 3, 4}) {
    const Sampler sampler(kCount, SampleOrder{7, Shuffle::kFull, repeats});
    const std::vector<int64_t> permutation = Sampler(kCount, SampleOrder{7}).order(2);
    const std::vector<int64_t> order = sampler.order(2);
    ASSERT_EQ(order.size(), static_cast<size_t>(kCount));
    for (const int64_t world : {1, 2, 4, 8}) {
      constexpr int64_t kGlobal = 64;
      for (int64_t b = 0; b < kCount / kGlobal; ++b) {
        Dealt ours;
        for (int64_t i = 0; i < kGlobal; ++i) {
          ours.places.push_back(sampler.place_of(i, b * kGlobal, kGlobal));
          ours.samples.push_back(order[static_cast<size_t>(ours.places.back())]);
        }
        const Dealt theirs = dealt(permutation, repeats, world, kGlobal / world, b);
        EXPECT_EQ(sorted(ours.places), sorted(theirs.places));
        EXPECT_EQ(sorted(ours.samples), sorted(theirs.samples));
        if (world < repeats) continue;
        for (int64_t rank = 0; rank < world; ++rank) {  // copies are on different ranks
          const auto first = ours.samples.begin() + rank * kGlobal / world;
          const std::vector<int64_t> mine(first, first + kGlobal / world);
          EXPECT_EQ(std::set(mine.begin(), mine.end()).size(), mine.size());
        }
      }
    }
  }
}

// Whatever batches led there: what was taken is the order's beginning, and neighbours differ.
TEST(RepeatedSampler, CountsItsPlaceInImages) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    const int64_t repeats = 1 + static_cast<int64_t>(random() % 5);
    const Sampler sampler(300, SampleOrder{1, Shuffle::kFull, repeats});
    const std::vector<int64_t> order = sampler.order(0);
    std::vector<int64_t> taken;
    for (int64_t images = 0; images < 250;) {
      const auto global = static_cast<int64_t>(2 * (repeats + random() % 20));
      if (images + global > 300) break;
      for (int64_t i = 0; i < global; ++i) taken.push_back(sampler.place_of(i, images, global));
      for (size_t i = taken.size() - static_cast<size_t>(global); i < taken.size(); i += 2) {
        EXPECT_NE(order[static_cast<size_t>(taken[i])], order[static_cast<size_t>(taken[i + 1])]);
      }
      images += global;
      EXPECT_EQ(sorted(taken), ascending(images));
    }
  }
  const Sampler once(100, SampleOrder{1});
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(once.place_of(i, 24, 12), 24 + i);
}

TEST(RepeatedSampler, NumbersTheCopiesOfASample) {
  const Sampler sampler(90, SampleOrder{4, Shuffle::kFull, 3});
  const std::vector<int64_t> order = sampler.order(5);
  std::set<std::pair<int64_t, int64_t>> seen;
  for (int64_t place = 0; place < 90; ++place) {
    seen.insert({order[static_cast<size_t>(place)], sampler.copy_at(place)});
  }
  EXPECT_EQ(seen.size(), 90U);
  EXPECT_EQ(std::set(order.begin(), order.end()).size(), 30U);
}

TEST(Sampler, OrderDependsOnSeedAndEpochOnly) {
  for (const Shuffle shuffle : {Shuffle::kFull, Shuffle::kBlock}) {
    const Sampler sampler(1000, SampleOrder{7, shuffle});
    EXPECT_EQ(sampler.order(3), Sampler(1000, SampleOrder{7, shuffle}).order(3));
    EXPECT_NE(sampler.order(3), sampler.order(4));
    EXPECT_NE(sampler.order(3), Sampler(1000, SampleOrder{8, shuffle}).order(3));
  }
  EXPECT_EQ(Sampler(100, std::nullopt).order(3), ascending(100));
}

// The same on every machine: computed once by an independent implementation in Python.
TEST(Sampler, OrderIsPortable) {
  const std::vector<int64_t> order = Sampler(10, SampleOrder{1}).order(0);
  EXPECT_EQ(order, (std::vector<int64_t>{2, 4, 5, 3, 8, 1, 6, 7, 9, 0}));
}

// Each sample comes first equally often: 10000 epochs of 5 samples, limits of 5 standard errors.
TEST(Sampler, FullShuffleIsUniform) {
  const Sampler sampler(5, SampleOrder{3});
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
  const auto order = Sampler(40000, SampleOrder{3, Shuffle::kBlock}).order(0);
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
