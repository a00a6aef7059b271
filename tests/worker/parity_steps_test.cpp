// Six SGD steps in float64 against PyTorch's (one rank) and PyTorch DDP's (2 and 4 ranks).
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "comm/gradient_reducer.h"
#include "comm/mpi_communicator.h"
#include "comm/tensor_collectives.h"
#include "model/network/resnext.h"
#include "tests/support/golden.h"
#include "tests/support/mpi_environment.h"
#include "tests/support/rule_weights.h"
#include "worker/step/optimizer.h"

namespace resnext {
namespace {

// The losses of our steps, mean over ranks.
std::vector<double> train(const GoldenSteps& golden, Communicator& communicator) {
  ResNeXt model(golden.model, 1);
  model.to(at::kCPU, at::kDouble, true);
  for (auto& [name, tensor] : model.state_dict()) fill_by_rule(tensor, name);
  OptimizerOptions options;
  options.momentum = golden.momentum;
  options.nesterov = golden.nesterov;
  options.weight_decay = golden.weight_decay;
  GradientReducer reducer(communicator, model.parameters(), {});
  Optimizer optimizer(options, model.parameters(), model.parameter_names(), reducer);
  optimizer.set_lr(golden.lr);
  const at::Tensor never = at::full({}, 0.0, at::kFloat);
  const int64_t begin = communicator.rank() * golden.per_rank;
  const auto mine = [&](const at::Tensor& t) { return t.slice(0, begin, begin + golden.per_rank); };
  const at::Tensor images = mine(rule_images(golden.world * golden.per_rank, golden.size))
                                .contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor labels = mine(rule_labels(golden.world * golden.per_rank, golden.model.classes));
  std::vector<double> losses;
  for (size_t step = 0; step < golden.losses.size(); ++step) {
    reducer.begin();
    reducer.arm();
    const at::Tensor loss = at::cross_entropy_loss(model.forward(images, Mode::kTrain), labels);
    loss.div(static_cast<double>(golden.world)).backward();
    reducer.wait();
    optimizer.step(never);
    const at::Tensor mean = at::full({}, loss.item<double>(), at::kDouble);
    communicator.all_reduce(as_buffer(mean), ReduceOp::kMean);
    losses.push_back(mean.item<double>());
  }
  return losses;
}

TEST(ParitySteps, GivePyTorchsLosses) {
  MpiCommunicator communicator(240);
  const Golden golden =
      read_golden(std::string(RESNEXT_SOURCE_DIR) + "/tests/model/golden/parity.json");
  int compared = 0;
  for (const GoldenSteps& entry : golden.steps) {
    if (entry.world != communicator.size()) continue;
    ++compared;
    const std::vector<double> losses = train(entry, communicator);
    double largest = 0;
    for (size_t i = 0; i < losses.size(); ++i) {
      largest = std::max(largest, std::abs(losses[i] - entry.losses[i]));
    }
    EXPECT_LT(largest,
              1e-9);  // two correct programs differ by 1e-14 here, a missing weight decay by 1e-7
    if (communicator.rank() == 0) {
      std::printf("%ld ranks: largest difference of %zu losses %.1e\n", entry.world, losses.size(),
                  largest);
    }
  }
  EXPECT_EQ(compared, 1);
}

}  // namespace
}  // namespace resnext
