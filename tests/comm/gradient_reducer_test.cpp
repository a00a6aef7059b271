// SPDX-License-Identifier: BSD-3-Clause
#include "comm/gradient_reducer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "comm/common/error.h"
#include "comm/mpi_communicator.h"
#include "comm/single_process_communicator.h"
#include "comm/tensor_collectives.h"
#include "tests/comm/gradient_reducer_test_support.h"

namespace resnext {
namespace {

using namespace test;

std::vector<size_t> shuffled(size_t count, uint64_t seed) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  return order;
}

// Whatever the order in which hooks fire, different on each rank and in each step: each gradient is
// the sum over ranks, once.
TEST(GradientReducer, SumsEachGradientOnceInAnyOrder) {
  MpiCommunicator communicator(60);
  const int world = communicator.size();
  std::vector<at::Tensor> parameters = make_parameters(23);
  GradientReducer reducer(communicator, parameters, buckets_of(64, 300));
  for (uint64_t step = 0; step < 20; ++step) {
    reducer.begin();
    reducer.arm();
    for (size_t i : shuffled(parameters.size(), 100 * step + communicator.rank())) {
      backward_one(parameters[i], 1000.0 * (i + 1) + communicator.rank() + step);
    }
    reducer.wait();
    for (size_t i = 0; i < parameters.size(); ++i) {
      const double sum = world * (1000.0 * (i + 1) + step) + world * (world - 1) / 2.0;
      ASSERT_TRUE(parameters[i].grad().eq(sum).all().item<bool>()) << "step " << step << " " << i;
    }
  }
}

TEST(GradientReducer, AccumulatesOverMicroBatchesAndSumsOnlyTheLast) {
  MpiCommunicator communicator(60);
  std::vector<at::Tensor> parameters = make_parameters(5);
  GradientReducer reducer(communicator, parameters, buckets_of(64, 192));
  for (int step = 0; step < 3; ++step) {
    reducer.begin();
    for (int micro_batch = 0; micro_batch < 3; ++micro_batch) {
      if (micro_batch == 2) reducer.arm();
      for (const at::Tensor& p : parameters) backward_one(p, 1);
    }
    reducer.wait();
    for (const at::Tensor& p : parameters) {
      EXPECT_TRUE(p.grad().eq(3.0 * communicator.size()).all().item<bool>());
    }
  }
}

TEST(GradientReducer, AParameterWithoutGradientCountsAsZeros) {
  MpiCommunicator communicator(60);
  std::vector<at::Tensor> parameters = make_parameters(4);
  GradientReducer reducer(communicator, parameters, buckets_of(64, 128));
  for (int step = 0; step < 3; ++step) {
    reducer.begin();
    reducer.arm();
    for (size_t i : {0, 2, 3}) backward_one(parameters[i], 1);
    if (communicator.rank() == 0) backward_one(parameters[1], 5);
    reducer.wait();
    EXPECT_TRUE(parameters[1].grad().eq(5).all().item<bool>());
    EXPECT_TRUE(parameters[2].grad().eq(communicator.size()).all().item<bool>());
  }
}

TEST(GradientReducer, FollowsRankZerosOrderAfterTheFirstStep) {
  MpiCommunicator communicator(60);
  std::vector<at::Tensor> parameters = make_parameters(9);
  GradientReducer reducer(communicator, parameters, buckets_of(64, 192));
  reducer.begin();
  reducer.arm();
  for (size_t i : shuffled(9, communicator.rank())) backward_one(parameters[i], 1);
  reducer.wait();
  reducer.begin();
  const std::vector<size_t> expected = shuffled(9, 0);
  EXPECT_EQ(reducer.order(), std::vector<int64_t>(expected.begin(), expected.end()));
}

TEST(GradientReducer, ASecondGradientInOneStepIsAnError) {
  SingleProcessCommunicator communicator;
  std::vector<at::Tensor> parameters = make_parameters(2);
  GradientReducer reducer(communicator, parameters, {});
  reducer.begin();
  reducer.arm();
  backward_one(parameters[0], 1);
  EXPECT_THROW(backward_one(parameters[0], 1), Error);
  reducer.wait();
}

TEST(GradientReducer, RefusesAnOrderThatIsNoPermutation) {
  SingleProcessCommunicator communicator;
  EXPECT_THROW(GradientReducer(communicator, make_parameters(3), {}, {0, 0, 1}), CheckpointError);
  EXPECT_THROW(GradientReducer(communicator, make_parameters(3), {}, {0, 1}), CheckpointError);
}

TEST(GradientReducer, FillsTheFirstBucketTo1MiBAndTheOthersTo25) {
  SingleProcessCommunicator communicator;
  std::vector<at::Tensor> parameters;
  for (int i = 0; i < 80; ++i) {
    parameters.push_back(at::ones({131072}).set_requires_grad(true));  // 0.5 MiB each
  }
  const GradientReducer reducer(communicator, parameters, {});
  const std::vector<int64_t> expected = {1 << 20, 25 << 20, 14 << 20};
  EXPECT_EQ(sizes_in_bytes(reducer), expected);
}

TEST(GradientReducer, StartsABucketWhileBackwardStillRuns) {
  RecordingCommunicator communicator;
  std::vector<at::Tensor> parameters = make_parameters(4);  // 64 bytes each, padded
  GradientReducer reducer(communicator, parameters, buckets_of(64, 128));
  EXPECT_EQ(sizes_in_bytes(reducer), (std::vector<int64_t>{64, 128, 64}));
  reducer.begin();
  reducer.arm();
  backward_one(parameters[1], 1);
  EXPECT_EQ(communicator.started, 0U);
  backward_one(parameters[2], 1);  // the second bucket is full, but waits for the first
  EXPECT_EQ(communicator.started, 0U);
  backward_one(parameters[3], 1);
  EXPECT_EQ(communicator.started, 2U);
  backward_one(parameters[0], 1);
  EXPECT_EQ(communicator.started, 3U);
  reducer.wait();
  EXPECT_EQ(communicator.started, 3U);
}

// N ranks x batch B give the gradient of one rank x N*B where there is no BN.
TEST(GradientReducer, NRanksTimesBIsOneRankTimesNB) {
  MpiCommunicator communicator(60);
  const int64_t world = communicator.size(), batch = 3;
  const at::Generator generator = at::detail::createCPUGenerator(5);
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor x = at::randn({world * batch, 4, 6, 6}, generator, f64);
  const at::Tensor y = at::randn({world * batch, 3, 4, 4}, generator, f64);
  const at::Tensor initial = at::randn({3, 4, 3, 3}, generator, f64);
  const auto loss = [](const at::Tensor& w, const at::Tensor& in, const at::Tensor& target) {
    return at::mse_loss(at::conv2d(in, w).relu(), target);
  };
  at::Tensor whole = initial.clone().set_requires_grad(true);
  loss(whole, x, y).backward();

  at::Tensor w = initial.clone().set_requires_grad(true);
  GradientReducer reducer(communicator, {w}, {});
  reducer.begin();
  reducer.arm();
  const int64_t begin = communicator.rank() * batch;
  loss(w, x.slice(0, begin, begin + batch), y.slice(0, begin, begin + batch))
      .div(static_cast<double>(world))
      .backward();
  reducer.wait();
  EXPECT_LT(w.grad().sub(whole.grad()).abs().max().item<double>(), 1e-14);
}

TEST(GradientReducer, KeepsTheMemoryFormatOfItsParameters) {
  SingleProcessCommunicator communicator;
  at::Tensor w =
      at::randn({8, 4, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast).set_requires_grad(true);
  GradientReducer reducer(communicator, {w}, {});
  EXPECT_EQ(w.grad().strides(), w.strides());
}

TEST(TensorAverager, AveragesAllItsTensorsAtOnce) {
  MpiCommunicator communicator(60);
  const double rank = communicator.rank(), mean = (communicator.size() - 1) / 2.0;
  const at::Tensor a = at::full({3}, rank, at::kDouble), b = at::full({}, 10 + rank, at::kDouble);
  TensorAverager averager(communicator, {a, b});
  averager.remember();
  averager.start();
  averager.wait();
  EXPECT_TRUE(a.eq(mean).all().item<bool>());
  EXPECT_EQ(b.item<double>(), 10 + mean);
  averager.restore_where(at::full({}, 0.0));
  EXPECT_EQ(b.item<double>(), 10 + mean);
  averager.restore_where(at::full({}, 1.0));
  EXPECT_EQ(b.item<double>(), 10 + rank);
}

TEST(TensorCollectives, BroadcastGivesRankZerosValues) {
  MpiCommunicator communicator(60);
  const at::Tensor t = at::full({4, 5}, communicator.rank() + 7.0);
  broadcast_tensors(communicator, {t});
  EXPECT_TRUE(t.eq(7).all().item<bool>());
}

TEST(TensorCollectives, RefusesATypeThatIsNotCommunicated) {
  EXPECT_THROW(as_buffer(at::ones({2}, at::kHalf)), Error);
}

}  // namespace
}  // namespace resnext
