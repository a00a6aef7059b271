// One training step on 1 to 4 ranks: what a step that is not finite leaves, and float16.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/training_step.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "comm/mpi_communicator.h"
#include "tests/support/mpi_environment.h"

namespace resnext {
namespace {

RunConfig small_config(Compute compute) {
  RunConfig config;
  config.model.family = Family::kCifar;
  config.model.depth = 11;
  config.model.cardinality = 2;
  config.model.base_width = 8;
  config.model.classes = 4;
  config.model.stem.width = 16;
  config.precision.compute = compute;
  return config;
}

// A network and what trains it, on keyed random images that differ from rank to rank.
struct Training {
  RunConfig config;
  MpiCommunicator communicator{60};
  Precision precision;
  ResNeXt model;
  Meters meters;
  std::unique_ptr<TrainingStep> step;
  at::Generator generator;

  explicit Training(RunConfig c)
      : config(std::move(c)),
        precision(config.precision, at::kCPU),
        model(config.model, 1),
        generator(at::detail::createCPUGenerator(1 + communicator.rank())) {
    model.to(at::kCPU, precision.parameter_type(), true);
    step = std::make_unique<TrainingStep>(config, precision, model, communicator, meters,
                                          std::vector<int64_t>{});
  }

  Input random_input() {
    const auto options = at::TensorOptions().dtype(precision.compute_type());
    return {at::randn({4, 3, 16, 16}, generator)
                .to(options.dtype())
                .contiguous(at::MemoryFormat::ChannelsLast),
            at::randint(0, 4, {4}, generator, at::TensorOptions().dtype(at::kLong)), 4};
  }

  void run(const Input& input, bool stop = false) {
    step->run(0.05, stop, [&] { return input; });
  }
  double report(int64_t index) const { return step->report()[index].item<double>(); }
  double loss() const { return report(0); }
  bool stopped() const { return report(1) > 0; }
  bool skipped() const { return report(2) > 0; }
  double scale() const { return report(3); }

  // All that a step may change.
  StateDict state() {
    StateDict all = model.state_dict();
    const StateDict momenta = step->optimizer().state_dict();
    all.insert(all.end(), momenta.begin(), momenta.end());
    for (auto& [name, tensor] : all) tensor = tensor.clone();
    return all;
  }
};

bool same(const StateDict& a, const StateDict& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    const bool counts_batches = a[i].first.ends_with("num_batches_tracked");
    if (!counts_batches && !a[i].second.equal(b[i].second)) return false;
  }
  return true;
}

// Rank 0's input alone is bad; everybody must leave the step out.
TEST(TrainingStep, ALossThatIsNotFiniteAnywhereChangesNothingAnywhere) {
  Training training(small_config(Compute::kFp32));
  training.run(training.random_input());
  training.run(training.random_input());
  const StateDict before = training.state();
  Input bad = training.random_input();
  if (training.communicator.rank() == 0) bad.images.fill_(std::numeric_limits<float>::quiet_NaN());
  training.run(bad);
  EXPECT_TRUE(training.skipped());
  EXPECT_FALSE(std::isfinite(training.loss()));
  EXPECT_TRUE(same(before, training.state()));
  training.run(training.random_input());
  EXPECT_FALSE(training.skipped());
  EXPECT_TRUE(std::isfinite(training.loss()));
  EXPECT_FALSE(same(before, training.state()));
}

TEST(TrainingStep, ARequestToStopReachesEveryRank) {
  Training training(small_config(Compute::kFp32));
  training.run(training.random_input());
  EXPECT_FALSE(training.stopped());
  training.run(training.random_input(), /*stop=*/training.communicator.rank() == 0);
  EXPECT_TRUE(training.stopped());
  training.run(training.random_input());
  EXPECT_FALSE(training.stopped());
}

// A scale at which gradients overflow in float16 on some rank: skipped everywhere, then halved.
TEST(TrainingStep, Float16FindsItsLossScale) {
  Training training(small_config(Compute::kFp16));
  training.step->loss_scaler().restore(std::ldexp(1.0, 40), 0);
  const StateDict before = training.state();
  const Input input = training.random_input();
  training.run(input);
  EXPECT_TRUE(training.skipped());
  EXPECT_TRUE(std::isfinite(training.loss()));
  EXPECT_EQ(training.scale(), std::ldexp(1.0, 40));
  EXPECT_TRUE(same(before, training.state()));
  int skipped = 1;
  for (; training.skipped() && skipped < 60; ++skipped) training.run(input);
  EXPECT_FALSE(training.skipped());
  EXPECT_EQ(training.scale(), std::ldexp(1.0, 40 - skipped + 1));
  EXPECT_FALSE(same(before, training.state()));
}

// The same first steps as in float32, to what half precision keeps.
TEST(TrainingStep, Float16FollowsFloat32) {
  Training half(small_config(Compute::kFp16)), single(small_config(Compute::kFp32));
  for (int step = 0; step < 3; ++step) {
    Input input = single.random_input();
    single.run(input);
    input.images = input.images.to(at::kHalf);
    half.run(input);
    EXPECT_FALSE(half.skipped());
    EXPECT_NEAR(half.loss(), single.loss(), 0.02 * single.loss()) << step;
  }
}

TEST(TrainingStep, GradientsThatTravelInBfloat16TrainAlmostTheSame) {
  RunConfig config = small_config(Compute::kFp32);
  Training plain(config);
  config.comm.compress = Compression::kBf16;
  Training compressed(config);
  for (int step = 0; step < 3; ++step) {
    const Input input = plain.random_input();
    plain.run(input);
    compressed.run(input);
    EXPECT_NEAR(compressed.loss(), plain.loss(), 0.02 * plain.loss()) << step;
  }
}

}  // namespace
}  // namespace resnext
