// The order in which samples are used, and each rank's share of it.
//
// The global order depends on the epoch and on SampleOrder only, never on the rank count. A place
// in it is counted in images: the next global batch of G images is order[images, images + G), and
// rank r of W takes the r-th of W equal, contiguous parts of it. So ranks and batch may change
// anywhere in an epoch: its remaining images follow in the same order, each once, but for a last
// batch that is not full. A seed or a way to shuffle that changes within an epoch counts from the
// next one on.
//
// Repeated augmentation (Hoffer et al. 2019, arXiv 1901.09335; Berman et al. 2019, arXiv
// 1902.05509) with k copies: the order has each sample k times in a row, and as many places as
// there are samples, so that an epoch takes one sample in k; as DeiT's and torchvision's RASampler
// does, which also leaves out what is beyond a multiple of 256. Theirs deals a batch's places out
// by turns, so that copies are on different processes. Here a batch is first sorted by copies
// (place_of), to the same end on k ranks or more, and so that neighbours are different samples on
// any number. Pure functions of their arguments; local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/data_options.h"
#include "data/keyed_random.h"

namespace resnext {

// What an epoch's order is made from.
struct SampleOrder {
  uint64_t seed = 1;
  Shuffle shuffle = Shuffle::kFull;
  int64_t repeats = 1;  // copies of each sample
  bool operator==(const SampleOrder&) const = default;
};

// Where a run stands: the next image. Saved with a checkpoint; a loader started from it continues
// as if it had never stopped.
struct Position {
  int64_t epoch = 0;                      // from 0
  int64_t images = 0;                     // of the epoch that have been taken
  std::optional<SampleOrder> order = {};  // in which these were taken; none: whoever goes on has it
  bool operator==(const Position&) const = default;
};

// Full global batches that an epoch of `count` images still has at `images`.
int64_t batches_left(int64_t count, int64_t global_batch, int64_t images);

// The place itself, or the next epoch's begin where no full batch is left.
Position at_full_batch(Position position, int64_t count, int64_t global_batch);

// Behind the next full batch, again at_full_batch().
Position after_batch(Position position, int64_t count, int64_t global_batch);

// 0..count-1 in random order (Fisher and Yates as in Knuth, The Art of Computer Programming 2,
// algorithm P).
std::vector<int64_t> permutation(int64_t count, KeyedRandom& random);

// Shuffle::kBlock: neighbours in the file that stay together, and the positions of an epoch's order
// within which they are mixed. 256 photographs of 110 kB are reads of 28 MB; the samples of
// positions [w, w + 1) * kShuffleWindow lie in 32 such blocks, or 33.
inline constexpr int64_t kShuffleBlock = 256;
inline constexpr int64_t kShuffleWindow = 32 * kShuffleBlock;

class Sampler {
 public:
  // Samples 0..count-1; without an order ascending (validation).
  Sampler(int64_t count, const std::optional<SampleOrder>& order);

  int64_t count() const { return count_; }
  int64_t repeats() const { return repeats_; }

  // The samples' indices, `count` in all, in the order of this epoch. Costs O(count).
  std::vector<int64_t> order(int64_t epoch) const;
  // Which copy of its sample stands at a place of the order.
  int64_t copy_at(int64_t place) const { return place % repeats_; }
  // The place that is the i-th of the global batch [images, images + global_batch).
  int64_t place_of(int64_t i, int64_t images, int64_t global_batch) const;

 private:
  std::vector<int64_t> samples(int64_t epoch) const;

  int64_t count_;
  std::optional<SampleOrder> order_;
  int64_t repeats_;
};

// What shows that images were seen: the sum, modulo 2^64, of a hash of each one's index
// (SplitMix64's finalizer of index + 1; Steele, Lea, Flood 2014). An epoch that takes every image
// once has the same tally whatever its order, ranks and batches.
uint64_t tally_of(std::span<const int64_t> indices);

// Half-open range of positions in the epoch's order.
struct Share {
  int64_t begin = 0;
  int64_t end = 0;
};

// Rank's share of the global batch that begins behind `images` images. A last, partial batch is
// split as evenly as possible, its first ranks one larger, so that each of its samples belongs to
// exactly one rank.
Share share_of_rank(int64_t count, int64_t global_batch, int64_t images, int rank, int world_size);

}  // namespace resnext
