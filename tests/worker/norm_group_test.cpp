// Batch normalisation over several ranks: what they train is what fewer ranks train that have all
// the images of a group each.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/norm_group.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "comm/common/error.h"
#include "comm/mpi_communicator.h"
#include "tests/support/mpi_environment.h"
#include "tests/support/thread_communicator.h"
#include "tests/support/training.h"

namespace resnext {
namespace {

using test::small_config;
using test::Training;

constexpr int64_t kImages = 12;  // of a global batch
constexpr int kSteps = 4;
constexpr double kLr = 0.02;

RunConfig config_of(int ranks) {
  RunConfig config = small_config(Compute::kFp64);
  config.batch.per_rank = kImages / ranks;
  return config;
}

// This rank's images of each step.
std::vector<Input> batches_of(const Training& training, int rank, int ranks) {
  RunConfig whole = training.config;
  whole.batch.per_rank = kImages;
  std::vector<Input> batches =
      test::random_batches(whole, training.precision, training.device, kSteps, /*key=*/1);
  const int64_t count = kImages / ranks;
  for (Input& batch : batches) {
    batch = {batch.images.narrow(0, rank * count, count).clone(at::MemoryFormat::Preserve),
             batch.labels.narrow(0, rank * count, count).clone(), count};
  }
  return batches;
}

StateDict trained(const RunConfig& config, Communicator& communicator, NormRanks* norms) {
  Training training(config, communicator, at::kCPU, norms);
  const std::vector<Input> batches = batches_of(training, communicator.rank(), communicator.size());
  for (auto next = batches.begin(); next != batches.end(); ++next) training.run(next, kLr);
  EXPECT_FALSE(training.skipped());
  return training.state();
}

// Ranks that are threads, each normalising alone.
StateDict trained_alone(RunConfig config, int ranks) {
  config.batch.per_rank = kImages / ranks;
  StateDict state;
  test::run_ranks(ranks, [&](Communicator& communicator) {
    StateDict mine = trained(config, communicator, nullptr);
    if (communicator.rank() == 0) state = std::move(mine);
  });
  return state;
}

double largest_difference(const StateDict& a, const StateDict& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    largest = std::max(largest, a[i].second.sub(b[i].second).abs().max().item<double>());
  }
  return largest;
}

class NormGroupTest : public testing::Test {
 protected:
  // Groups of each size.
  void expect_equal_to_fewer_ranks(const RunConfig& config) {
    const int world = communicator_.size();
    for (int ranks = 2; ranks <= world; ++ranks) {
      if (world % ranks != 0) continue;
      RunConfig grouped = config;
      grouped.model.norm = Norm::kGroup;
      grouped.model.norm_group = ranks;
      const auto norms = make_norm_group(grouped.model, communicator_);
      const StateDict state = trained(grouped, communicator_, norms.get());
      const double difference = largest_difference(state, trained_alone(config, world / ranks));
      if (communicator_.rank() == 0) std::printf("groups of %d: %.1e\n", ranks, difference);
      EXPECT_LT(difference, 1e-12) << ranks;
      norms->close();
    }
  }

  MpiCommunicator communicator_{60};
};

TEST_F(NormGroupTest, TrainsAsFewerRanksWithLargerBatches) {
  expect_equal_to_fewer_ranks(config_of(communicator_.size()));
}

// In backward, stages run again, and paths beside each other: many sums between gradients' buckets.
TEST_F(NormGroupTest, AlsoInPathsAndStagesThatRunTwice) {
  RunConfig config = config_of(communicator_.size());
  config.model.block = Block::kB;
  config.model.recompute_stages = 2;
  config.model.se_reduction = 4;
  config.precision.channels_last = false;
  expect_equal_to_fewer_ranks(config);
}

// The statistics of ranks differ: without the group it would not be the same.
TEST_F(NormGroupTest, EachRankAloneTrainsSomethingElse) {
  const int world = communicator_.size();
  const RunConfig config = config_of(world);
  const double difference =
      largest_difference(trained(config, communicator_, nullptr), trained_alone(config, 1));
  if (world == 1) {
    EXPECT_LT(difference, 1e-12);
  } else {
    EXPECT_GT(difference, 1e-6);
  }
}

TEST_F(NormGroupTest, GroupsDivideTheWorld) {
  ModelOptions options;
  EXPECT_EQ(norm_ranks(options, 4), 1);
  EXPECT_EQ(make_norm_group(options, communicator_), nullptr);
  options.norm = Norm::kSync;
  EXPECT_EQ(norm_ranks(options, 6), 6);
  options.norm = Norm::kGroup;
  options.norm_group = 3;
  EXPECT_EQ(norm_ranks(options, 6), 3);
  for (const int world : {1, 2, 4, 8}) {
    EXPECT_THROW(norm_ranks(options, world), ConfigError) << world;
  }
}

}  // namespace
}  // namespace resnext
