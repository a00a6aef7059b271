// One training step on 1 to 4 ranks: what a step that is not finite leaves, and float16.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/training_step.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "comm/mpi_communicator.h"
#include "tests/support/mpi_environment.h"
#include "tests/support/training.h"

namespace resnext {
namespace {

using test::first_difference;
using test::small_config;
using test::Training;

constexpr double kLr = 0.05;

// On every rank; each has its own images.
class TrainingStepOnRanks : public testing::Test {
 protected:
  MpiCommunicator communicator_{60};

  Training make(const RunConfig& config) { return {config, communicator_, at::kCPU}; }
  std::vector<Input> batches(const Training& training, int64_t count) const {
    return training.batches(count, /*key=*/1 + communicator_.rank());
  }
};

// Rank 0's input alone is bad; everybody must leave the step out.
TEST_F(TrainingStepOnRanks, ALossThatIsNotFiniteAnywhereChangesNothingAnywhere) {
  Training training = make(small_config(Compute::kFp32));
  const std::vector<Input> inputs = batches(training, 4);
  if (communicator_.rank() == 0) inputs[2].images.fill_(std::numeric_limits<float>::quiet_NaN());
  training.run(inputs.begin(), kLr);
  training.run(inputs.begin() + 1, kLr);
  const StateDict before = training.state();
  training.run(inputs.begin() + 2, kLr);
  EXPECT_TRUE(training.skipped());
  EXPECT_FALSE(std::isfinite(training.loss()));
  EXPECT_EQ(first_difference(before, training.state(), /*counts=*/false), "");
  training.run(inputs.begin() + 3, kLr);
  EXPECT_FALSE(training.skipped());
  EXPECT_TRUE(std::isfinite(training.loss()));
  EXPECT_NE(first_difference(before, training.state(), /*counts=*/false), "");
}

TEST_F(TrainingStepOnRanks, ARequestToStopReachesEveryRank) {
  Training training = make(small_config(Compute::kFp32));
  const std::vector<Input> inputs = batches(training, 3);
  training.run(inputs.begin(), kLr);
  EXPECT_FALSE(training.stopped());
  training.run(inputs.begin() + 1, kLr, /*stop=*/communicator_.rank() == 0);
  EXPECT_TRUE(training.stopped());
  training.run(inputs.begin() + 2, kLr);
  EXPECT_FALSE(training.stopped());
}

// A scale at which gradients overflow in float16: skipped everywhere, then halved.
TEST_F(TrainingStepOnRanks, Float16FindsItsLossScale) {
  Training training = make(small_config(Compute::kFp16));
  training.step->loss_scaler().restore(std::ldexp(1.0, 40), 0);
  const StateDict before = training.state();
  const std::vector<Input> inputs = batches(training, 1);
  training.run(inputs.begin(), kLr);
  EXPECT_TRUE(training.skipped());
  EXPECT_TRUE(std::isfinite(training.loss()));
  EXPECT_EQ(training.scale(), std::ldexp(1.0, 40));
  EXPECT_EQ(first_difference(before, training.state(), /*counts=*/false), "");
  int skipped = 1;
  for (; training.skipped() && skipped < 60; ++skipped) training.run(inputs.begin(), kLr);
  EXPECT_FALSE(training.skipped());
  EXPECT_EQ(training.scale(), std::ldexp(1.0, 40 - skipped + 1));
  EXPECT_NE(first_difference(before, training.state(), /*counts=*/false), "");
}

// The first steps of `other` against those of float32, to what its types keep.
void expect_almost_the_same(Training& plain, Training& other, int64_t key) {
  const std::vector<Input> of_plain = plain.batches(3, key), of_other = other.batches(3, key);
  for (int step = 0; step < 3; ++step) {
    plain.run(of_plain.begin() + step, kLr);
    other.run(of_other.begin() + step, kLr);
    EXPECT_FALSE(other.skipped());
    EXPECT_NEAR(other.loss(), plain.loss(), 0.02 * plain.loss()) << step;
  }
}

TEST_F(TrainingStepOnRanks, Float16FollowsFloat32) {
  Training plain = make(small_config(Compute::kFp32)), half = make(small_config(Compute::kFp16));
  expect_almost_the_same(plain, half, 1 + communicator_.rank());
}

TEST_F(TrainingStepOnRanks, GradientsThatTravelInBfloat16TrainAlmostTheSame) {
  RunConfig config = small_config(Compute::kFp32);
  Training plain = make(config);
  config.comm.compress = Compression::kBf16;
  Training compressed = make(config);
  expect_almost_the_same(plain, compressed, 1 + communicator_.rank());
}

// Weights of classes: the loss and its gradients are torch's weighted mean over the images of all
// ranks and micro-batches at once, each of which has its own BN statistics.
TEST_F(TrainingStepOnRanks, ClassWeightsCountOverTheWholeGlobalBatch) {
  constexpr int64_t kParts = 2;
  const std::vector<double> weights = {0.25, 4, 1.5, 0.75};
  RunConfig config = small_config(Compute::kFp64, kParts);
  config.optimizer.weight_decay = 0;  // momentum is then the gradient
  Training training(config, communicator_, at::kCPU, nullptr, weights);
  ResNeXt model(config.model, 1);
  model.to(at::kCPU, at::kDouble, true);
  std::vector<at::Tensor> logits, labels;
  for (int rank = 0; rank < communicator_.size(); ++rank) {
    for (const Input& input : training.batches(kParts, /*key=*/1 + rank)) {
      logits.push_back(model.forward(input.images, Mode::kTrain));
      labels.push_back(input.labels);
    }
  }
  const at::Tensor wanted =
      at::cross_entropy_loss(at::cat(logits), at::cat(labels), at::tensor(weights, at::kDouble),
                             at::Reduction::Mean, -100, config.optimizer.label_smoothing);
  wanted.backward();
  training.run(batches(training, kParts).begin(), kLr);
  EXPECT_NEAR(training.loss(), wanted.item<double>(), 1e-13);
  std::vector<at::Tensor> parameters = model.parameters();
  const StateDict gradients = training.step->optimizer().state_dict();
  ASSERT_EQ(gradients.size(), parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_TRUE(gradients[i].second.allclose(parameters[i].grad(), 0, 1e-13)) << gradients[i].first;
  }
}

}  // namespace
}  // namespace resnext
