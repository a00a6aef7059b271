// The buckets as others see them: their layout, life and registration, and what travels compressed.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "comm/common/error.h"
#include "comm/gradient_reducer.h"
#include "comm/mpi_communicator.h"
#include "comm/single_process_communicator.h"
#include "comm/tensor_collectives.h"
#include "tests/comm/gradient_reducer_test_support.h"

namespace resnext {
namespace {

using namespace test;

void expect_laid_out(const GradientBucket& bucket, const std::vector<at::Tensor>& parameters) {
  ASSERT_EQ(bucket.members.size(), bucket.offsets.size());
  EXPECT_EQ(bucket.flat.nbytes() % 64, 0U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bucket.flat.data_ptr()) % 64, 0U);
  at::Tensor rest = bucket.flat.clone();
  for (size_t i = 0; i < bucket.members.size(); ++i) {
    const at::Tensor& gradient = parameters[bucket.members[i]].grad();
    const int64_t offset = bucket.offsets[i] * bucket.flat.element_size();
    EXPECT_EQ(offset % 64, 0);
    EXPECT_EQ(gradient.data_ptr(), static_cast<char*>(bucket.flat.data_ptr()) + offset);
    EXPECT_TRUE(gradient.is_alias_of(bucket.flat));
    rest.slice(0, bucket.offsets[i], bucket.offsets[i] + gradient.numel()).zero_();
  }
  EXPECT_TRUE(rest.eq(0).all().item<bool>());  // the padding
}

TEST(GradientBuckets, GradientsStartAligned_AndThePaddingStaysZero) {
  MpiCommunicator communicator(60);
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    std::vector<at::Tensor> parameters;
    for (const int64_t count : {1, 16, 17, 8, 9, 100, 3}) {
      parameters.push_back(at::ones({count}, type).set_requires_grad(true));
    }
    CommOptions options = buckets_of(128, 640);
    if (type == at::kFloat) options = compressed(options);
    GradientReducer reducer(communicator, parameters, options);
    for (const double value : {1.0, std::numeric_limits<double>::quiet_NaN(), 2.0}) {
      one_step(reducer, parameters, value);
      EXPECT_GT(reducer.buckets().size(), 2U);
      std::vector<int64_t> members;
      for (const GradientBucket& bucket : reducer.buckets()) {
        expect_laid_out(bucket, parameters);
        members.insert(members.end(), bucket.members.begin(), bucket.members.end());
      }
      EXPECT_TRUE(std::is_permutation(members.begin(), members.end(), reducer.order().begin()));
    }
  }
}

TEST(GradientBuckets, TheGenerationTellsWhenBucketsWereRebuilt) {
  SingleProcessCommunicator communicator;
  std::vector<at::Tensor> parameters = make_parameters(3);
  GradientReducer reducer(communicator, parameters, {});
  EXPECT_EQ(reducer.generation(), 1);
  one_step(reducer, parameters, 1);
  EXPECT_EQ(reducer.generation(), 1);
  reducer.begin();
  EXPECT_EQ(reducer.generation(), 2);
  EXPECT_EQ(reducer.buckets().front().members, reducer.order());
  const at::Tensor flat = reducer.buckets().front().flat;
  for (int step = 0; step < 3; ++step) one_step(reducer, parameters, 1);
  EXPECT_EQ(reducer.generation(), 2);
  EXPECT_TRUE(reducer.buckets().front().flat.is_same(flat));
}

TEST(GradientBuckets, BucketsOfAGivenOrderAreFinal) {
  SingleProcessCommunicator communicator;
  std::vector<at::Tensor> parameters = make_parameters(3);
  GradientReducer reducer(communicator, parameters, {}, {1, 0, 2});
  for (int step = 0; step < 3; ++step) one_step(reducer, parameters, 1);
  EXPECT_EQ(reducer.generation(), 1);
  EXPECT_EQ(reducer.buckets().front().members, (std::vector<int64_t>{1, 0, 2}));
}

TEST(GradientBuckets, RegistersTheFinalBucketsForItsLife) {
  RecordingCommunicator communicator;
  std::vector<at::Tensor> parameters = make_parameters(4);
  {
    GradientReducer reducer(communicator, parameters, buckets_of(64, 128));
    one_step(reducer, parameters, 1);
    EXPECT_TRUE(communicator.registered.empty());  // these buckets go
    one_step(reducer, parameters, 1);
    std::set<void*> flats;
    for (const GradientBucket& bucket : reducer.buckets()) flats.insert(bucket.flat.data_ptr());
    EXPECT_EQ(communicator.registered, flats);
    EXPECT_EQ(flats.size(), 3U);
  }
  EXPECT_TRUE(communicator.registered.empty());
  const GradientReducer resumed(communicator, parameters, buckets_of(64, 128), {3, 2, 1, 0});
  EXPECT_EQ(communicator.registered.size(), 3U);
}

// ---- compression -----------------------------------------------------------------------------

// Float32 parameters; parameter i has the gradient `gradients[i]` after backward().
std::vector<at::Tensor> float_parameters(const std::vector<at::Tensor>& gradients) {
  std::vector<at::Tensor> parameters;
  for (const at::Tensor& g : gradients) {
    parameters.push_back(at::ones(g.sizes(), at::kFloat).set_requires_grad(true));
  }
  return parameters;
}

std::vector<at::Tensor> random_gradients(uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  std::vector<at::Tensor> gradients;
  for (const int64_t count : {1, 50, 1000, 33, 7}) {
    gradients.push_back(at::randn({count}, generator, at::TensorOptions().dtype(at::kFloat)));
  }
  return gradients;
}

void backward(GradientReducer& reducer, const std::vector<at::Tensor>& parameters,
              const std::vector<at::Tensor>& gradients) {
  reducer.begin();
  reducer.arm();
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].mul(gradients[i]).sum().backward();
  }
  reducer.wait();
}

at::Tensor summed(Communicator& communicator, const at::Tensor& values) {
  const at::Tensor sum = values.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  communicator.all_reduce(as_buffer(sum), ReduceOp::kSum);
  return sum;
}

// Each rank's value is rounded once, and each of world - 1 sums: 2^-8 relative each time.
TEST(CompressedGradients, AreSummedToBfloat16sPrecision_WithTheSameBitsEverywhere) {
  MpiCommunicator communicator(60);
  const int world = communicator.size();
  const double bound = std::pow(1 + 1.0 / 256, world) - 1;
  std::vector<at::Tensor> parameters = float_parameters(random_gradients(0));
  GradientReducer reducer(communicator, parameters, compressed(buckets_of(64, 512)));
  for (uint64_t step = 0; step < 5; ++step) {
    const std::vector<at::Tensor> gradients = random_gradients(10 * step + communicator.rank());
    backward(reducer, parameters, gradients);
    for (size_t i = 0; i < parameters.size(); ++i) {
      const at::Tensor& got = parameters[i].grad();
      const at::Tensor error = got.to(at::kDouble).sub(summed(communicator, gradients[i])).abs();
      const at::Tensor limit = summed(communicator, gradients[i].abs()).mul(bound);
      ASSERT_TRUE(error.le(limit).all().item<bool>()) << step << " " << i;
      const at::Tensor roots = got.clone();
      communicator.broadcast(as_buffer(roots), 0);
      ASSERT_TRUE(got.equal(roots)) << step << " " << i;
      ASSERT_EQ(got.equal(got.to(at::kBFloat16).to(at::kFloat)), world > 1);
    }
  }
}

TEST(CompressedGradients, AreNotRoundedInAWorldOfOne) {
  SingleProcessCommunicator communicator;
  const std::vector<at::Tensor> gradients = random_gradients(3);
  std::vector<at::Tensor> parameters = float_parameters(gradients);
  GradientReducer reducer(communicator, parameters, compressed({}));
  backward(reducer, parameters, gradients);
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_TRUE(parameters[i].grad().equal(gradients[i]));
  }
}

TEST(CompressedGradients, WhatIsNotFiniteStaysSo) {
  MpiCommunicator communicator(60);
  std::vector<at::Tensor> parameters = float_parameters(random_gradients(0));
  GradientReducer reducer(communicator, parameters, compressed(buckets_of(64, 512)));
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<at::Tensor> gradients = random_gradients(communicator.rank());
    if (communicator.rank() == 0) gradients[2][77] = value;
    backward(reducer, parameters, gradients);
    EXPECT_EQ(parameters[2].grad().isfinite().sum().item<int64_t>(), 999);
    EXPECT_FALSE(std::isfinite(parameters[2].grad()[77].item<float>()));
    EXPECT_TRUE(parameters[1].grad().isfinite().all().item<bool>());
  }
}

// Each bucket's bfloat16 copy, waited for in order, and registered in place of the bucket.
TEST(CompressedGradients, TravelInTwoBytes) {
  RecordingCommunicator communicator;
  std::vector<at::Tensor> parameters = float_parameters(random_gradients(0));
  GradientReducer reducer(communicator, parameters, compressed(buckets_of(64, 512)));
  one_step(reducer, parameters, 1);
  communicator.reduced.clear();
  communicator.waited.clear();
  one_step(reducer, parameters, 1);
  const std::vector<GradientBucket> buckets = reducer.buckets();
  ASSERT_EQ(communicator.reduced.size(), buckets.size());
  for (size_t i = 0; i < buckets.size(); ++i) {
    EXPECT_EQ(communicator.reduced[i].type, DataType::kBfloat16);
    EXPECT_EQ(communicator.reduced[i].count, static_cast<size_t>(buckets[i].flat.numel()));
    EXPECT_TRUE(communicator.registered.count(communicator.reduced[i].data));
    EXPECT_EQ(communicator.waited[i], communicator.started - buckets.size() + 1 + i);
  }
  EXPECT_EQ(communicator.registered.size(), buckets.size());
}

TEST(CompressedGradients, AreOfFloat32) {
  SingleProcessCommunicator communicator;
  try {
    const GradientReducer reducer(communicator, make_parameters(2), compressed({}));
    ADD_FAILURE() << "was not refused";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("comm.compress: gradients of type Double"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace resnext
