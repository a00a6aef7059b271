// The training step on one GPU: replayed from graphs it does what it does without, to the bit, and
// never waits for the device.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "comm/make_communicator.h"
#include "tests/gpu/gpu_test.h"
#include "tests/support/mpi_environment.h"
#include "tests/support/training.h"
#include "worker/device/gpu.h"
#include "worker/step/training_step.h"
#include "worker/step/weight_average.h"

namespace resnext {
namespace {

using test::Deterministic;
using test::first_difference;
using test::small_config;
using test::Training;

constexpr int64_t kCaptured = StepGraph::kWarmUp + 1;  // steps after which a graph is there
constexpr int64_t kSteps = 12;

class TrainingStepGpu : public test::GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (!IsSkipped()) make_communicator_of({});
  }
  void make_communicator_of(const CommOptions& options) {
    communicator_ = make_communicator(options, test::environment(), device_->for_communicator());
  }
  std::unique_ptr<Training> training(const RunConfig& config) {
    return std::make_unique<Training>(config, *communicator_, gpu());
  }
  // One that replays its steps, after `batches`' first ones.
  std::unique_ptr<Training> captured(const RunConfig& config) {
    auto it = training(config);
    it->train(it->batches(kCaptured * config.batch.accumulation, 3));
    EXPECT_TRUE(it->step->replayed());
    return it;
  }

  struct Outcome {
    std::vector<at::Tensor> reports;
    StateDict state;
  };
  Outcome outcome(RunConfig config, bool graph, int64_t side = 16) {
    config.run.graph = graph;
    const auto it = training(config);
    Outcome outcome;
    outcome.reports = it->train(it->batches(kSteps * config.batch.accumulation, 7, side));
    EXPECT_EQ(it->step->replayed(), graph);
    outcome.state = it->state();
    return outcome;
  }
  static void expect_same(const Outcome& a, const Outcome& b) {
    ASSERT_EQ(a.reports.size(), b.reports.size());
    for (size_t i = 0; i < a.reports.size(); ++i) {
      EXPECT_TRUE(a.reports[i].equal(b.reports[i]))
          << "report of step " << i << ": " << a.reports[i] << " and " << b.reports[i];
      EXPECT_TRUE(std::isfinite(a.reports[i][0].item<double>())) << i;
    }
    EXPECT_EQ(first_difference(a.state, b.state), "");
  }

  std::unique_ptr<Communicator> communicator_;
};

// With 4 and 6 micro-batches, parts of a step run often enough to be captured within the first.
TEST_F(TrainingStepGpu, AReplayedStepIsTheEagerStepToTheBit) {
  const Deterministic deterministic;
  for (const Compute compute : {Compute::kFp32, Compute::kBf16, Compute::kFp16}) {
    for (const int64_t accumulation : {1, 2, 3, 4, 6}) {
      SCOPED_TRACE("compute " + std::to_string(static_cast<int>(compute)) + ", accumulation " +
                   std::to_string(accumulation));
      const RunConfig config = small_config(compute, accumulation);
      expect_same(outcome(config, true), outcome(config, false));
    }
  }
}

// Four stages with the stem's max pool.
TEST_F(TrainingStepGpu, AReplayedStepOfTheImagenetFamilyToo) {
  const Deterministic deterministic;
  RunConfig config = small_config(Compute::kBf16);
  config.model.family = Family::kImagenet;
  config.model.depth = 50;
  config.model.cardinality = 4;
  config.model.base_width = 32;
  config.model.stem.width = 16;
  expect_same(outcome(config, true, 64), outcome(config, false, 64));
}

TEST_F(TrainingStepGpu, WeightsWithoutDecayAreLeftOutInAGraphToo) {
  const Deterministic deterministic;
  RunConfig config = small_config(Compute::kBf16);
  config.optimizer.decay_norms = false;
  config.optimizer.nesterov = false;
  expect_same(outcome(config, true), outcome(config, false));
}

// Rate, draws, norms and counts are read on the device.
RunConfig recipe_of(OptimizerKind kind, Compute compute) {
  RunConfig config = small_config(compute, 2);
  config.optimizer.kind = kind;
  config.optimizer.decay_norms = false;
  config.optimizer.clip_norm = 1;
  config.optimizer.loss = kind == OptimizerKind::kLamb ? LossKind::kBce : LossKind::kCrossEntropy;
  config.mix.mixup = 0.2;
  config.mix.cutmix = 1;
  return config;
}

constexpr OptimizerKind kKinds[] = {OptimizerKind::kSgd, OptimizerKind::kLars, OptimizerKind::kLamb,
                                    OptimizerKind::kAdamw};

TEST_F(TrainingStepGpu, EachOptimizerAndMixedImagesAreReplayed) {
  const Deterministic deterministic;
  for (const OptimizerKind kind : kKinds) {
    for (const Compute compute : {Compute::kFp32, Compute::kBf16, Compute::kFp16}) {
      SCOPED_TRACE(name_of(kind));
      const RunConfig config = recipe_of(kind, compute);
      expect_same(outcome(config, true), outcome(config, false));
    }
  }
}

TEST_F(TrainingStepGpu, RecomputedStagesGiveTheSame) {
  const Deterministic deterministic;
  for (const Compute compute : {Compute::kFp32, Compute::kBf16}) {
    RunConfig config = small_config(compute, 2);
    const Outcome kept = outcome(config, true);
    config.model.recompute_stages = 2;
    const Outcome again = outcome(config, true);
    expect_same(again, outcome(config, false));
    expect_same(again, kept);
  }
}

// NCCL's collectives of one rank, in the graph and beside it, leave values as they are.
TEST_F(TrainingStepGpu, CollectivesOfNcclAreReplayed) {
  const Deterministic deterministic;
  if (test::environment().size() > 1) return;
  const RunConfig config = small_config(Compute::kBf16, 2);
  const Outcome alone = outcome(config, true);
  CommOptions options = config.comm;
  options.backend = Backend::kNccl;
  make_communicator_of(options);
  ASSERT_EQ(communicator_->name(), "nccl");
  expect_same(outcome(config, true), alone);
  expect_same(outcome(config, false), alone);
}

TEST_F(TrainingStepGpu, NeverWaitsForTheDevice) {
  for (const Compute compute : {Compute::kFp32, Compute::kBf16, Compute::kFp16}) {
    for (const bool graph : {true, false}) {
      RunConfig config = small_config(compute, 2);
      config.run.graph = graph;
      config.model.recompute_stages = 1;
      const auto it = training(config);
      const auto batches = it->batches(2 * kCaptured, 5);
      it->train(batches);
      {
        const ForbidSynchronisation forbid;
        EXPECT_NO_THROW(it->train(batches));
      }
      EXPECT_EQ(it->step->replayed(), graph);
      EXPECT_TRUE(std::isfinite(it->loss()));
    }
  }
}

TEST_F(TrainingStepGpu, NoPartOfARecipeWaitsForTheDevice) {
  for (const OptimizerKind kind : kKinds) {
    const RunConfig config = recipe_of(kind, Compute::kBf16);
    const auto it = training(config);
    ResNeXt network(config.model, 2);
    network.to(gpu(), at::kFloat, /*channels_last=*/true);
    EmaOptions ema;
    ema.decay = 0.9;
    WeightAverage average(ema, std::move(network), it->model);
    const auto batches = it->batches(2 * kCaptured, 5);
    it->train(batches);
    average.follow({1, 8}, 8);
    {
      const ForbidSynchronisation forbid;
      EXPECT_NO_THROW(it->train(batches));
      EXPECT_NO_THROW(average.follow({1, 16}, 8));
    }
    EXPECT_TRUE(it->step->replayed());
    EXPECT_TRUE(std::isfinite(it->loss()));
  }
}

TEST_F(TrainingStepGpu, AStepThatIsNotFiniteChangesNothing) {
  for (const Compute compute : {Compute::kBf16, Compute::kFp16}) {
    for (const int64_t accumulation : {1, 2}) {
      const auto it = captured(small_config(compute, accumulation));
      const StateDict before = it->state();
      auto bad = it->batches(accumulation, 11), good = it->batches(accumulation, 12);
      bad.back().images.fill_(std::numeric_limits<float>::quiet_NaN());
      it->run(bad.begin(), 0.05);
      EXPECT_TRUE(it->step->replayed());
      EXPECT_TRUE(it->skipped());
      EXPECT_FALSE(std::isfinite(it->loss()));
      EXPECT_EQ(first_difference(before, it->state(), /*counts=*/false), "");
      it->run(good.begin(), 0.05);
      EXPECT_FALSE(it->skipped());
      EXPECT_TRUE(std::isfinite(it->loss()));
      EXPECT_NE(first_difference(before, it->state(), /*counts=*/false), "");
    }
  }
}

// w -= lr * direction: at twice the rate twice as far; at none, not at all.
TEST_F(TrainingStepGpu, TheRateChangesBetweenReplays) {
  const Deterministic deterministic;
  const auto moved = [&](double lr) {
    const auto it = captured(small_config(Compute::kFp32));
    const at::Tensor before = it->state().front().second;
    const auto batches = it->batches(1, 13);
    it->run(batches.begin(), lr);
    EXPECT_TRUE(it->step->replayed());
    return it->state().front().second.sub(before);
  };
  const at::Tensor none = moved(0), once = moved(0.25), twice = moved(0.5);
  EXPECT_EQ(none.abs().max().item<float>(), 0);
  const float most = twice.abs().max().item<float>();
  EXPECT_GT(most, 0);
  EXPECT_LT(twice.sub(once.mul(2)).abs().max().item<float>(), 1e-5F * most + 1e-6F);
}

TEST_F(TrainingStepGpu, ARequestToStopIsSeenInAReplay) {
  const auto it = captured(small_config(Compute::kBf16));
  const auto batches = it->batches(2, 17);
  it->run(batches.begin(), 0.05, /*stop=*/true);
  EXPECT_TRUE(it->step->replayed());
  EXPECT_TRUE(it->stopped());
  it->run(batches.begin() + 1, 0.05);
  EXPECT_FALSE(it->stopped());
}

// A scale at which gradients overflow: skipped, halved by each replay, until they do not.
TEST_F(TrainingStepGpu, Float16FindsItsLossScaleInReplays) {
  const auto it = captured(small_config(Compute::kFp16));
  it->step->loss_scaler().restore(std::ldexp(1.0, 40), 0);
  const StateDict before = it->state();
  const auto batches = it->batches(1, 19);
  it->run(batches.begin(), 0.05);
  EXPECT_TRUE(it->step->replayed());
  EXPECT_TRUE(it->skipped());
  EXPECT_TRUE(std::isfinite(it->loss()));
  EXPECT_EQ(it->scale(), std::ldexp(1.0, 40));
  EXPECT_EQ(first_difference(before, it->state(), /*counts=*/false), "");
  int skipped = 1;
  for (; it->skipped() && skipped < 60; ++skipped) it->run(batches.begin(), 0.05);
  EXPECT_FALSE(it->skipped());
  EXPECT_EQ(it->scale(), std::ldexp(1.0, 40 - skipped + 1));
  EXPECT_NE(first_difference(before, it->state(), /*counts=*/false), "");
}

TEST_F(TrainingStepGpu, CountsEachMicroBatchOnce) {
  const auto it = captured(small_config(Compute::kBf16, 2));
  for (const auto& [name, tensor] : it->state()) {
    if (!name.ends_with("num_batches_tracked")) continue;
    EXPECT_EQ(tensor.item<int64_t>(), 2 * kCaptured) << name;
  }
}

// A float64 step keeps its rate in float64, so it runs as it is.
TEST_F(TrainingStepGpu, Float64RunsAsItIs) {
  const auto it = training(small_config(Compute::kFp64));
  it->train(it->batches(kCaptured + 2, 23));
  EXPECT_FALSE(it->step->replayed());
  EXPECT_TRUE(std::isfinite(it->loss()));
}

TEST_F(TrainingStepGpu, PhasesAreKnownOfReplaysToo) {
  const auto it = captured(small_config(Compute::kBf16));
  EXPECT_TRUE(std::isfinite(it->loss()));  // the device has passed the step
  for (const Phase phase : {Phase::kForward, Phase::kBackward}) {
    EXPECT_GT(it->meters.mean_ms(phase), 0);
  }
}

}  // namespace
}  // namespace resnext
