// The number of ranks changes neither the order of the samples nor a pixel of their augmentation.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <mpi.h>

#include <span>
#include <vector>

#include "data/container/checksum.h"
#include "data/loader/data_loader.h"
#include "tests/support/mpi_environment.h"
#include "tests/support/process.h"
#include "tests/support/tiny_data.h"

namespace resnext::test {
namespace {

constexpr int64_t kGlobalBatch = 12;
constexpr int kEpochs = 3;

// Labels and checksums of images, one after the other, in the order in which they are used.
using Record = std::vector<int64_t>;

// One micro-batch as [label, checksum] pairs.
Record record(const Batch& batch) {
  const auto bytes = static_cast<size_t>(batch.size * batch.size * 3);
  Record record;
  for (int64_t i = 0; i < batch.count; ++i) {
    const std::span pixels(batch.pixels + static_cast<size_t>(i) * bytes, bytes);
    record.push_back(batch.labels[i]);
    record.push_back(crc32c(pixels));
  }
  return record;
}

DataLoader make_loader(const Container& container, int rank, int world_size, bool training) {
  RecipeOptions recipe;
  recipe.name = RecipeName::kCifar;
  recipe.size = recipe.resize = 16;
  recipe.training = training;
  LoaderOptions options;
  options.rank = rank;
  options.world_size = world_size;
  options.per_rank = kGlobalBatch / world_size;
  options.training = training;
  options.threads = 2;
  return DataLoader(container, Recipe(recipe), options);
}

// What all ranks loaded in one step, in the order of the global batch; empty on other ranks than 0.
Record gather(const Record& mine) {
  const MpiEnvironment& mpi = environment();
  const int count = static_cast<int>(mine.size());
  std::vector<int> counts(static_cast<size_t>(mpi.size()));
  MPI_Gather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, MPI_COMM_WORLD);
  std::vector<int> begins(counts.size());
  for (size_t r = 1; r < begins.size(); ++r) begins[r] = begins[r - 1] + counts[r - 1];
  Record all(mpi.rank() == 0 ? static_cast<size_t>(begins.back() + counts.back()) : 0);
  MPI_Gatherv(mine.data(), count, MPI_INT64_T, all.data(), counts.data(), begins.data(),
              MPI_INT64_T, 0, MPI_COMM_WORLD);
  return all;
}

// Each step of this world holds the images of the same step of a world of one. Collective.
void expect_same_steps(int64_t images, bool training, int64_t steps) {
  const TemporaryFolder folder;  // each rank its own copy
  write_tiny_container(folder / "data.h5", {.images = images});
  const Container container(folder / "data.h5");
  DataLoader mine = make_loader(container, environment().rank(), environment().size(), training);
  DataLoader alone = make_loader(container, 0, 1, training);
  mine.start({});
  alone.start({});
  int64_t seen = 0;
  for (int64_t step = 0; step < steps; ++step) {
    const Record all = gather(record(mine.next()));
    const Record expected = record(alone.next());
    seen += static_cast<int64_t>(expected.size()) / 2;
    if (environment().rank() > 0) continue;
    EXPECT_EQ(all, expected) << "step " << step;
  }
  EXPECT_EQ(seen, training ? steps * kGlobalBatch : images);
}

TEST(WorldSize, ChangesNoTrainingBatch) {
  constexpr int64_t kImages = 96;
  expect_same_steps(kImages, true, kEpochs * kImages / kGlobalBatch);
}

// The last batch of 37 images holds one: most ranks get none of it.
TEST(WorldSize, ChangesNoValidationBatch) {
  expect_same_steps(37, false, 4);
}

}  // namespace
}  // namespace resnext::test
