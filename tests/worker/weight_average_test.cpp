// The moving average of weights, number by number as torchvision's references keep theirs.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/weight_average.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/training.h"

namespace resnext {
namespace {

RunConfig tiny_config() {
  RunConfig config = test::small_config(Compute::kFp64);
  config.model.stem.width = 8;
  return config;
}

ResNeXt network_of(const RunConfig& config, uint64_t seed) {
  ResNeXt network(config.model, seed);
  network.to(at::kCPU, at::kDouble, /*channels_last=*/true);
  return network;
}

// As if it had trained.
void change(ResNeXt& model, int64_t step) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : model.state_dict()) {
    if (tensor.scalar_type() == at::kLong) {
      tensor.add_(1);
    } else {
      tensor.mul_(0.9).add_(0.1 * std::sin(static_cast<double>(step)));
    }
  }
}

// What torchvision keeps: a mean, and the number of updates, which is set to 0 in each epoch of
// warm-up.
struct Reference {
  StateDict means;
  int64_t updates = 0;

  void update(ResNeXt& model, double decay) {
    const StateDict values = model.state_dict();
    for (size_t i = 0; i < values.size(); ++i) {
      const at::Tensor value = values[i].second.detach().clone();
      if (i >= means.size()) means.emplace_back(values[i].first, value);
      at::Tensor& mean = means[i].second;
      const bool copies = updates == 0 || value.scalar_type() == at::kLong;
      mean = copies ? value : mean.mul(decay).add(value.mul(1 - decay));
    }
    ++updates;
  }
};

void expect_near(const StateDict& ours, const StateDict& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(ours[i].first, theirs[i].first);
    const at::Tensor difference = ours[i].second.detach().sub(theirs[i].second).abs();
    ASSERT_LT(difference.max().item<double>(), 1e-14) << ours[i].first;
  }
}

TEST(WeightAverage, IsTorchvisions) {
  const RunConfig config = tiny_config();
  constexpr int64_t kBatch = 16, kStepsPerEpoch = 5, kEpochs = 4;
  for (const int64_t every : {1, 2, 3}) {
    for (const double warmup : {0.0, 1.5, 2.0}) {
      ResNeXt model = network_of(config, 1);
      EmaOptions options;
      options.decay = 0.8;
      options.every_steps = every;
      options.warmup_epochs = warmup;
      WeightAverage average(options, network_of(config, 2), model);
      Reference reference;
      for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
        for (int64_t i = 0; i < kStepsPerEpoch; ++i) {
          change(model, epoch * kStepsPerEpoch + i);
          average.follow({epoch, i * kBatch}, kBatch);
          if (i % every == 0) {
            reference.update(model, options.decay);
            if (static_cast<double>(epoch) < warmup) reference.updates = 0;
          }
          expect_near(average.state_dict(), reference.means);
        }
      }
    }
  }
}

TEST(WeightAverage, BeginsAsACopyAndSharesNothingWithTheModel) {
  const RunConfig config = tiny_config();
  ResNeXt model = network_of(config, 1);
  WeightAverage average({}, network_of(config, 2), model);
  ResNeXt before = network_of(config, 1);
  expect_near(average.state_dict(), before.state_dict());
  change(model, 1);
  expect_near(average.state_dict(), before.state_dict());
}

// The average goes on as it was saved, whatever the step at which it was.
TEST(WeightAverage, ItsSavedStateContinuesBitForBit) {
  const RunConfig config = tiny_config();
  EmaOptions options;
  options.decay = 0.8;
  options.warmup_epochs = 1;
  for (int64_t saved_at = 0; saved_at < 12; ++saved_at) {
    ResNeXt model = network_of(config, 1);
    WeightAverage whole(options, network_of(config, 2), model);
    WeightAverage resumed(options, network_of(config, 3), model);
    for (int64_t step = 0; step < 12; ++step) {
      if (step == saved_at) resumed.load(whole.state_dict(), "ema.pt");
      change(model, step);
      whole.follow({step / 4, step % 4 * 16}, 16);
      if (step >= saved_at) resumed.follow({step / 4, step % 4 * 16}, 16);
    }
    EXPECT_EQ(test::first_difference(whole.state_dict(), resumed.state_dict()), "") << saved_at;
  }
}

}  // namespace
}  // namespace resnext
