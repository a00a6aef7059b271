// NCCL itself: collectives of device memory, in graphs too, and the training step over them.
//
// Two ranks need two GPUs, or one and NCCL 2.30, which lets ranks share it when asked to.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <optional>

#include "comm/common/error.h"
#include "comm/make_communicator.h"
#include "comm/mpi_communicator.h"
#include "comm/tensor_collectives.h"
#include "tests/comm/communicator_conformance.h"
#include "tests/gpu/gpu_test.h"
#include "tests/support/mpi_environment.h"
#include "tests/support/training.h"
#include "worker/device/gpu.h"

namespace resnext {
namespace {

using test::first_difference;
using test::small_config;
using test::Training;

at::ScalarType tensor_type(DataType type) {
  switch (type) {
    case DataType::kUint8:
      return at::kByte;
    case DataType::kInt64:
      return at::kLong;
    case DataType::kBfloat16:
      return at::kBFloat16;
    case DataType::kFloat32:
      return at::kFloat;
    default:
      return at::kDouble;
  }
}

// Takes host memory, and gives the communicator a copy of it on the device.
class ThroughDevice final : public Communicator {
 public:
  ThroughDevice(Communicator& inner, at::Device device) : inner_(inner), device_(device) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::string_view name() const override { return inner_.name(); }
  Ticket start_all_reduce(Buffer buffer, ReduceOp op) override {
    const at::Tensor copy = on_host(buffer).to(device_);
    const Ticket ticket = inner_.start_all_reduce(as_buffer(copy), op);
    started_.emplace(ticket, Started{buffer, copy});
    return ticket;
  }
  void wait(Ticket ticket) override {
    inner_.wait(ticket);
    const auto end = started_.upper_bound(ticket);
    for (auto it = started_.begin(); it != end; ++it) {
      on_host(it->second.buffer).copy_(it->second.copy);
    }
    started_.erase(started_.begin(), end);
  }
  void broadcast(Buffer buffer, int root) override {
    const at::Tensor copy = on_host(buffer).to(device_);
    inner_.broadcast(as_buffer(copy), root);
    on_host(buffer).copy_(copy);
  }
  void all_gather(Buffer mine, Buffer all) override {
    const at::Tensor one = on_host(mine).to(device_), many = on_host(all).to(device_);
    inner_.all_gather(as_buffer(one), as_buffer(many));
    on_host(all).copy_(many);
  }
  std::unique_ptr<Communicator> split(int ranks) override { return inner_.split(ranks); }

 private:
  struct Started {
    Buffer buffer;
    at::Tensor copy;
  };
  static at::Tensor on_host(const Buffer& buffer) {
    return at::from_blob(buffer.data, {static_cast<int64_t>(buffer.count)},
                         tensor_type(buffer.type));
  }

  Communicator& inner_;
  at::Device device_;
  std::map<Ticket, Started> started_;
};

// All ranks skip, or none.
class NcclGpu : public testing::Test {
 protected:
  void SetUp() override {
    setenv("NCCL_MULTI_RANK_GPU_ENABLE", "1", /*overwrite=*/0);
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
    std::optional<int> index;
    try {
      index = select_cuda_device(Backend::kAuto, test::environment());
    } catch (const ConfigError& error) {
      GTEST_SKIP() << error.what();
    }
    if (!index) GTEST_SKIP() << "needs a GPU for each rank; this machine shows none";
    device_.emplace(*index);
    options_.backend = Backend::kNccl;
    options_.timeout_s = 60;
    communicator_ = make_communicator(options_, test::environment(), device_->for_communicator());
  }
  at::Device gpu() const { return device_->torch(); }
  at::Tensor numbers(double value) const {
    return at::full({1000}, value, at::TensorOptions().dtype(at::kDouble).device(gpu()));
  }

  std::optional<ComputeDevice> device_;
  CommOptions options_;
  std::unique_ptr<Communicator> communicator_;
};

TEST_F(NcclGpu, ConformsInDeviceMemory) {
  ASSERT_EQ(communicator_->name(), "nccl");
  ThroughDevice on_device(*communicator_, gpu());
  test::expect_conformance(on_device);
}

TEST_F(NcclGpu, ConformsInHostMemory) {
  test::expect_conformance(*communicator_);
}

TEST_F(NcclGpu, RegisteredMemoryIsSummedAsOther) {
  const at::Tensor sum = numbers(communicator_->rank() + 1);
  const std::shared_ptr<void> registration = communicator_->register_buffer(as_buffer(sum));
  communicator_->all_reduce(as_buffer(sum), ReduceOp::kSum);
  const int n = communicator_->size();
  EXPECT_TRUE(sum.eq(n * (n + 1) / 2.0).all().item<bool>());
}

// Before a graph is captured, in it, between its replays, and behind it. In a graph x becomes
// size * (x + 1) / 2 + mean(x), where all ranks have the same x.
TEST_F(NcclGpu, CollectivesAreCapturedAndReplayed) {
  Communicator& c = *communicator_;
  const at::Tensor x = numbers(c.rank());
  c.all_reduce(as_buffer(x), ReduceOp::kMax);
  double expected = c.size() - 1;
  const auto graph = make_gpu_graph(make_gpu_memory_pool());
  graph->capture([&] {
    const at::Tensor half = x.add(1).mul(0.5);
    const Ticket first = c.start_all_reduce(as_buffer(half), ReduceOp::kSum);
    const Ticket second = c.start_all_reduce(as_buffer(x), ReduceOp::kMean);
    c.wait(second);
    c.wait(first);
    x.add_(half);
  });
  EXPECT_TRUE(x.eq(expected).all().item<bool>()) << "captured work was carried out";
  for (int i = 0; i < 4; ++i) {
    graph->replay();
    c.watch_current_stream("the test");
    expected += c.size() * (expected + 1) / 2;
    EXPECT_TRUE(x.eq(expected).all().item<bool>()) << i;
    const at::Tensor beside = numbers(1);
    c.all_reduce(as_buffer(beside), ReduceOp::kSum);
    EXPECT_TRUE(beside.eq(c.size()).all().item<bool>()) << i;
  }
}

// Ranks see different images, and BN's statistics are each rank's own: so it is in host memory.
TEST_F(NcclGpu, TrainsAsTheCpusDo) {
  RunConfig config = small_config(Compute::kFp32);
  config.comm = options_;
  MpiCommunicator host(60);
  Training ours(config, *communicator_, gpu()), theirs(config, host, at::kCPU);
  const auto key = static_cast<uint64_t>(31 + communicator_->rank());
  const auto of_gpu = ours.batches(5, key), of_cpu = theirs.batches(5, key);
  for (size_t i = 0; i < of_gpu.size(); ++i) {
    ours.run(of_gpu.begin() + static_cast<int64_t>(i), 0.01);
    theirs.run(of_cpu.begin() + static_cast<int64_t>(i), 0.01);
    EXPECT_NEAR(ours.loss(), theirs.loss(), 2e-4 * theirs.loss()) << i;
  }
  EXPECT_TRUE(ours.step->replayed());
  const StateDict a = ours.state(), b = theirs.state();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const at::Tensor exact = b[i].second.to(at::kDouble);
    const double scale = std::max(exact.abs().max().item<double>(), 1e-3);
    const double off = a[i].second.to(at::kDouble).sub(exact).abs().max().item<double>();
    EXPECT_LE(off, 2e-4 * scale) << a[i].first;
  }
}

// Gradients that travel as bfloat16 too.
TEST_F(NcclGpu, AReplayedStepIsTheEagerStepToTheBit) {
  const test::Deterministic deterministic;
  for (const Compression compress : {Compression::kNone, Compression::kBf16}) {
    StateDict states[2];
    for (const bool graph : {false, true}) {
      RunConfig config = small_config(Compute::kBf16, 2);
      config.comm.compress = compress;
      config.run.graph = graph;
      Training training(config, *communicator_, gpu());
      const auto key = static_cast<uint64_t>(41 + communicator_->rank());
      training.train(training.batches(16, key));
      EXPECT_EQ(training.step->replayed(), graph);
      states[graph ? 1 : 0] = training.state();
    }
    EXPECT_EQ(first_difference(states[0], states[1]), "");
  }
}

// Rank 0's images alone are bad; everybody leaves the step out.
TEST_F(NcclGpu, AStepThatIsNotFiniteAnywhereChangesNothingAnywhere) {
  Training training(small_config(Compute::kBf16), *communicator_, gpu());
  training.train(training.batches(6, 51));
  const StateDict before = training.state();
  auto bad = training.batches(1, 52);
  if (communicator_->rank() == 0) bad[0].images.fill_(std::numeric_limits<float>::infinity());
  training.run(bad.begin(), 0.05);
  EXPECT_TRUE(training.step->replayed());
  EXPECT_TRUE(training.skipped());
  EXPECT_EQ(first_difference(before, training.state(), /*counts=*/false), "");
}

}  // namespace
}  // namespace resnext
