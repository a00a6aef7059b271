// A small set and what a loader makes of it, for the tests of the loader.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "data/loader/data_loader.h"
#include "tests/data/support.h"

namespace resnext::testing {

class DataLoaderTest : public ::testing::Test {
 protected:
  static constexpr int64_t kCount = 53;
  static constexpr int64_t kSize = 8;

  // One image as it came out: its label (which identifies it) and its pixels.
  using Item = std::pair<int64_t, Bytes>;
  using Items = std::vector<Item>;

  void SetUp() override {
    // As many classes as images, so that a label names its image.
    write_raw_container(folder_ / "a.h5", kCount, 10, 12, kCount);
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

}  // namespace resnext::testing
