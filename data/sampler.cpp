// Sample order by keyed Fisher-Yates, and its division among ranks.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/sampler.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <stdexcept>
#include <utility>

namespace resnext {
namespace {

void shuffle(std::span<int64_t> items, KeyedRandom& random) {
  for (size_t left = items.size(); left > 1; --left) {
    std::swap(items[left - 1], items[random.below(left)]);
  }
}

std::vector<int64_t> ascending(int64_t count) {
  std::vector<int64_t> items(static_cast<size_t>(count));
  std::iota(items.begin(), items.end(), int64_t{0});
  return items;
}

std::vector<int64_t> block_order(int64_t count, KeyedRandom& random) {
  std::vector<int64_t> items;
  items.reserve(static_cast<size_t>(count));
  for (const int64_t block : permutation((count + kShuffleBlock - 1) / kShuffleBlock, random)) {
    const int64_t end = std::min(count, (block + 1) * kShuffleBlock);
    for (int64_t i = block * kShuffleBlock; i < end; ++i) items.push_back(i);
  }
  constexpr size_t kWindow = kShuffleWindow;
  for (size_t begin = 0; begin < items.size(); begin += kWindow) {
    shuffle(std::span(items).subspan(begin, std::min(kWindow, items.size() - begin)), random);
  }
  return items;
}

}  // namespace

std::vector<int64_t> permutation(int64_t count, KeyedRandom& random) {
  std::vector<int64_t> items = ascending(count);
  shuffle(items, random);
  return items;
}

Sampler::Sampler(int64_t count, const std::optional<SampleOrder>& order)
    : count_(count), order_(order), repeats_(order ? order->repeats : 1) {}

std::vector<int64_t> Sampler::order(int64_t epoch) const {
  std::vector<int64_t> items = samples(epoch);
  for (size_t place = items.size(); repeats_ > 1 && place-- > 0;) {  // sources are before it
    items[place] = items[place / static_cast<size_t>(repeats_)];
  }
  return items;
}

int64_t Sampler::place_of(int64_t i, int64_t images, int64_t global_batch) const {
  for (int64_t copy = 0; copy < repeats_; ++copy) {
    const int64_t first = images + (copy - images % repeats_ + repeats_) % repeats_;
    const int64_t places =
        std::max<int64_t>(0, images + global_batch - first + repeats_ - 1) / repeats_;
    if (i < places) return first + i * repeats_;
    i -= places;
  }
  throw std::logic_error("Sampler::place_of() beyond the batch");
}

std::vector<int64_t> Sampler::samples(int64_t epoch) const {
  if (!order_) return ascending(count_);
  KeyedRandom random(RandomUse::kOrder, order_->seed, static_cast<uint64_t>(epoch), 0);
  if (order_->shuffle == Shuffle::kBlock) return block_order(count_, random);
  return permutation(count_, random);
}

uint64_t tally_of(std::span<const int64_t> indices) {
  uint64_t tally = 0;
  for (const int64_t index : indices) {
    auto x = static_cast<uint64_t>(index) + 1;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    tally += x ^ (x >> 31);
  }
  return tally;
}

int64_t batches_left(int64_t count, int64_t global_batch, int64_t images) {
  return std::max<int64_t>(0, count - images) / global_batch;
}

Position at_full_batch(Position position, int64_t count, int64_t global_batch) {
  if (batches_left(count, global_batch, position.images) > 0) return position;
  return {position.epoch + 1, 0};
}

Position after_batch(Position position, int64_t count, int64_t global_batch) {
  position.images += global_batch;
  return at_full_batch(position, count, global_batch);
}

Share share_of_rank(int64_t count, int64_t global_batch, int64_t images, int rank, int world_size) {
  const int64_t first = std::min(count, images);
  const int64_t size = std::min(count - first, global_batch);
  const int64_t part = size / world_size;
  const int64_t larger = size % world_size;
  const int64_t begin = first + rank * part + std::min<int64_t>(rank, larger);
  return {begin, begin + part + (rank < larger ? 1 : 0)};
}

}  // namespace resnext
