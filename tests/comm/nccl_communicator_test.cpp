// SPDX-License-Identifier: BSD-3-Clause
#include "comm/nccl_communicator.h"

#include <gtest/gtest.h>
#include <mpi.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "comm/common/error.h"
#include "comm/make_communicator.h"
#include "tests/comm/communicator_conformance.h"
#include "tests/comm/nccl_test_support.h"
#include "tests/support/mpi_environment.h"

namespace resnext {
namespace {

using NcclCommunicatorTest = test::OverFakeNccl;
using test::error_of;

// Takes all buffers for device memory, and lets the host wait for the results.
class OnDevice final : public Communicator {
 public:
  OnDevice(NcclCommunicator& inner, cudaStream_t current) : inner_(inner), current_(current) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::string_view name() const override { return inner_.name(); }
  Ticket start_all_reduce(Buffer buffer, ReduceOp op) override {
    return inner_.start_all_reduce(on_device(buffer), op);
  }
  void wait(Ticket ticket) override {
    inner_.wait(ticket);
    cudaStreamSynchronize(current_);
  }
  void broadcast(Buffer buffer, int root) override {
    inner_.broadcast(on_device(buffer), root);
    cudaStreamSynchronize(current_);
  }
  void all_gather(Buffer mine, Buffer all) override {
    inner_.all_gather(on_device(mine), on_device(all));
    cudaStreamSynchronize(current_);
  }
  std::unique_ptr<Communicator> split(int ranks) override { return inner_.split(ranks); }

 private:
  static Buffer on_device(Buffer buffer) {
    buffer.device = true;
    return buffer;
  }

  NcclCommunicator& inner_;
  cudaStream_t current_;
};

TEST_F(NcclCommunicatorTest, ConformsInDeviceMemory) {
  NcclCommunicator communicator(options());
  OnDevice on_device(communicator, current_.get());
  test::expect_conformance(on_device);
  EXPECT_GT(fake_calls("ncclAllReduce"), 0);
}

TEST_F(NcclCommunicatorTest, ConformsInHostMemory) {
  NcclCommunicator communicator(options());
  test::expect_conformance(communicator);
  EXPECT_EQ(fake_calls("ncclAllReduce"), 0);
}

TEST_F(NcclCommunicatorTest, ConformsOnTheLegacyStreamAndWhenLaunchesAreSlow) {
  NcclOptions legacy = options();
  legacy.current_stream = nullptr;
  NcclCommunicator communicator(legacy);
  fake_slow_launch(3);
  OnDevice on_device(communicator, nullptr);
  test::expect_conformance(on_device);
}

// The collective takes what the current stream writes behind a closed gate.
TEST_F(NcclCommunicatorTest, TheStreamsWaitForEachOtherAndTheHostForNothing) {
  NcclCommunicator communicator(options());
  double value = 1;
  test::Gate gate(current_.get());
  cudaLaunchHostFunc(
      current_.get(), [](void* to) { *static_cast<double*>(to) = 5; }, &value);
  const Ticket ticket = communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum);
  communicator.wait(ticket);
  for (int i = 0; i < 50; ++i) communicator.barrier();  // a collective that ran early would be seen
  EXPECT_EQ(value, 1);
  gate.open();
  synchronize();
  EXPECT_EQ(value, 5 * communicator.size());
}

// The current stream waits for the first result only, as the second comes behind a closed gate.
TEST_F(NcclCommunicatorTest, WaitsForTheTicketAndNotForLaterOnes) {
  CudaStream other;
  cudaStream_t current = current_.get();
  NcclOptions o = options();
  o.current_stream = [&] { return current; };
  NcclCommunicator communicator(o);
  double first = 1, second = 1;
  const Ticket ticket = communicator.start_all_reduce(test::on_device(first), ReduceOp::kSum);
  test::Gate gate(other.get());
  current = other.get();
  communicator.start_all_reduce(test::on_device(second), ReduceOp::kSum);
  current = current_.get();
  communicator.wait(ticket);
  synchronize();
  EXPECT_EQ(first, communicator.size());
  EXPECT_EQ(second, 1);
  gate.open();
  cudaStreamSynchronize(other.get());
  communicator.wait(ticket + 1);
  synchronize();
  EXPECT_EQ(second, communicator.size());
}

TEST_F(NcclCommunicatorTest, HostAndDeviceBuffersMayBeInFlightTogether) {
  NcclCommunicator communicator(options());
  double device = 1;
  int64_t host = 2, other = 3;
  communicator.start_all_reduce({&host, 1, DataType::kInt64}, ReduceOp::kSum);
  communicator.start_all_reduce(test::on_device(device), ReduceOp::kSum);
  const Ticket last = communicator.start_all_reduce({&other, 1, DataType::kInt64}, ReduceOp::kMax);
  communicator.wait(last);
  synchronize();
  EXPECT_EQ(host, 2 * communicator.size());
  EXPECT_EQ(device, communicator.size());
  EXPECT_EQ(other, 3);
}

TEST_F(NcclCommunicatorTest, SumsBfloat16) {
  NcclCommunicator communicator(options());
  std::vector<uint16_t> values(5, 0x3f80);  // 1
  const uint16_t sums[] = {0, 0x3f80, 0x4000, 0x4040, 0x4080};
  communicator.all_reduce({values.data(), 5, DataType::kBfloat16, true}, ReduceOp::kSum);
  synchronize();
  EXPECT_EQ(values, std::vector<uint16_t>(5, sums[communicator.size()]));
}

TEST_F(NcclCommunicatorTest, RefusesWhatIsNotDefined) {
  NcclCommunicator communicator(options());
  int64_t value = 1, all[4];
  const Buffer integer{&value, 1, DataType::kInt64, true};
  EXPECT_THROW(communicator.start_all_reduce(integer, ReduceOp::kMean), CommError);
  EXPECT_THROW(communicator.all_gather(integer, {all, 1, DataType::kInt64}), Error);
}

// In a capture nothing has run, so nothing is watched or asked; the graph joins the current stream.
TEST_F(NcclCommunicatorTest, CollectivesOfACaptureAreNotWatched) {
  NcclCommunicator communicator(options());
  double value = 1;
  fake_capture(1);
  const int events = fake_calls("cudaEventCreateWithFlags");
  const int waits = fake_calls("cudaStreamWaitEvent");
  communicator.wait(communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum));
  fake_capture(0);
  EXPECT_EQ(fake_calls("cudaEventCreateWithFlags"), events);
  EXPECT_EQ(fake_calls("cudaStreamWaitEvent"), waits + 2);
  synchronize();
}

// In the graph as outside: what waits for the first result does not wait for the second, which
// comes behind a closed gate.
TEST_F(NcclCommunicatorTest, AGraphWaitsForTheTicketAndNotForLaterOnes) {
  CudaStream other;
  CudaEvent fork;
  cudaStream_t current = current_.get();
  NcclOptions o = options();
  o.current_stream = [&] { return current; };
  NcclCommunicator communicator(o);
  double first = 1, second = 1;
  std::atomic<bool> reached{false};
  fake_capture(1);
  const Ticket ticket = communicator.start_all_reduce(test::on_device(first), ReduceOp::kSum);
  fork.record(current);
  fork.hold_up(other.get());
  test::Gate gate(other.get());
  current = other.get();
  communicator.start_all_reduce(test::on_device(second), ReduceOp::kSum);
  current = current_.get();
  communicator.wait(ticket);
  cudaLaunchHostFunc(
      current, [](void* flag) { *static_cast<std::atomic<bool>*>(flag) = true; }, &reached);
  communicator.wait(ticket + 1);
  EXPECT_EQ(fake_capture(0), cudaSuccess);
  EXPECT_EQ(first, 1);
  fake_replay();
  EXPECT_TRUE(test::eventually([&] { return reached.load(); }));
  EXPECT_EQ(first, communicator.size());
  gate.open();
  synchronize();
  EXPECT_EQ(second, communicator.size());
}

TEST_F(NcclCommunicatorTest, EachCaptureHasItsOwnTickets) {
  NcclCommunicator communicator(options());
  for (int graph = 0; graph < 3; ++graph) {
    double values[2] = {1, 1};
    fake_capture(1);
    Ticket last = 0;
    for (double& value : values) {
      last = communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum);
    }
    communicator.wait(last);
    EXPECT_EQ(fake_capture(0), cudaSuccess);
    communicator.wait(last);  // outside there is nothing to wait for
    fake_replay();
    synchronize();
    for (const double value : values) EXPECT_EQ(value, communicator.size());
    communicator.all_reduce(test::on_device(values[0]), ReduceOp::kMax);
    synchronize();
  }
}

// ---- the fake is as strict as CUDA ----------------------------------------------------------

TEST_F(NcclCommunicatorTest, AGraphThatWaitsForNothingIsNotJoined) {
  NcclCommunicator communicator(options());
  double value = 1;
  fake_capture(1);
  communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum);
  EXPECT_EQ(fake_capture(0), cudaErrorStreamCaptureUnjoined);
}

TEST_F(NcclCommunicatorTest, EventsDoNotCrossTheEdgeOfACapture) {
  CudaEvent outside, inside;
  outside.record(current_.get());
  fake_capture(1);
  EXPECT_TRUE(is_capturing(current_.get()));
  EXPECT_THROW(outside.hold_up(current_.get()), Error);
  inside.record(current_.get());
  EXPECT_THROW(inside.completed(), Error);
  EXPECT_THROW(synchronize(), Error);
  EXPECT_EQ(fake_capture(0), cudaSuccess);
  EXPECT_THROW(inside.hold_up(current_.get()), Error);
  inside.record(current_.get());  // of the world outside again
  inside.hold_up(current_.get());
  synchronize();
}

// ---- the end ---------------------------------------------------------------------------------

TEST_F(NcclCommunicatorTest, ANormalEndIsNoAbort) {
  double value = 1;
  {
    NcclCommunicator communicator(options());
    communicator.all_reduce(test::on_device(value), ReduceOp::kSum);
    fake_slow_launch(3);
    communicator.close();
    EXPECT_EQ(value, communicator.size());  // it has waited for the stream
    EXPECT_THROW(communicator.all_reduce(test::on_device(value), ReduceOp::kSum), CommError);
  }
  EXPECT_EQ(fake_calls("ncclCommFinalize"), 1);
  EXPECT_EQ(fake_calls("ncclCommDestroy"), 1);
  EXPECT_EQ(fake_calls("ncclCommAbort"), 0);
}

// All ranks are on this host and read the same clock.
TEST_F(NcclCommunicatorTest, NoRankEndsBeforeAllHaveCome) {
  const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };
  NcclCommunicator communicator(options());
  const int last = communicator.size() - 1;
  if (communicator.rank() == last) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  int64_t came = now();
  communicator.close();
  const int64_t ended = now();
  MPI_Bcast(&came, 1, MPI_INT64_T, last, MPI_COMM_WORLD);
  EXPECT_GE(ended, came);
}

TEST_F(NcclCommunicatorTest, AReplayThatDoesNotEndIsALostPeer) {
  NcclCommunicator communicator(options(0.1));
  test::Gate gate(current_.get());
  communicator.watch_current_stream("replay of the step");
  std::string error;
  EXPECT_TRUE(test::eventually([&] {
    error = error_of([&] { communicator.watch_current_stream("another"); });
    return !error.empty();
  }));
  EXPECT_TRUE(test::contains(error, "76 collective ")) << error;
  EXPECT_TRUE(test::contains(error, "replay of the step did not complete within 0.1 s")) << error;
}

// ---- registered buffers ----------------------------------------------------------------------

TEST_F(NcclCommunicatorTest, ARegistrationLastsAsLongAsItsHandle) {
  NcclCommunicator communicator(options());
  double first = 1, second = 2;
  std::shared_ptr<void> one = communicator.register_buffer(test::on_device(first));
  const std::shared_ptr<void> other = communicator.register_buffer(test::on_device(second));
  EXPECT_NE(one, nullptr);
  EXPECT_NE(other, nullptr);
  EXPECT_EQ(fake_registrations(), 2);
  one.reset();
  EXPECT_EQ(fake_registrations(), 1);
  one = communicator.register_buffer(test::on_device(first));
  EXPECT_EQ(fake_registrations(), 2);
}

TEST_F(NcclCommunicatorTest, HostMemoryAndNoMemoryAreNotRegistered) {
  NcclCommunicator communicator(options());
  double value = 1;
  EXPECT_EQ(communicator.register_buffer({&value, 1, DataType::kFloat64}), nullptr);
  EXPECT_EQ(communicator.register_buffer({nullptr, 0, DataType::kFloat64, true}), nullptr);
  EXPECT_EQ(fake_calls("ncclCommRegister"), 0);
}

// The host has not waited for the collective: the end of the registration does.
TEST_F(NcclCommunicatorTest, ARegistrationOutlastsTheCollectivesOnItsMemory) {
  NcclCommunicator communicator(options());
  double value = 1;
  std::shared_ptr<void> registration = communicator.register_buffer(test::on_device(value));
  test::Gate gate(current_.get());
  communicator.wait(communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum));
  auto end =
      std::async(std::launch::async, [it = std::move(registration)]() mutable { it.reset(); });
  for (int i = 0; i < 50; ++i) communicator.barrier();  // an early end would be seen
  EXPECT_EQ(fake_registrations(), 1);
  gate.open();
  end.get();
  EXPECT_EQ(value, communicator.size());
  EXPECT_EQ(fake_registrations(), 0);
}

TEST_F(NcclCommunicatorTest, GoesOnWithoutRegistrationAndSaysSoOnce) {
  NcclCommunicator communicator(options());
  double value = 1;
  for (int result : {ncclUnhandledCudaError, ncclInvalidUsage}) {
    fake_fail("ncclCommRegister", result, 0);
    const std::string log = test::logged(
        [&] { EXPECT_EQ(communicator.register_buffer(test::on_device(value)), nullptr); });
    EXPECT_EQ(test::contains(log, "does not register"), result == ncclUnhandledCudaError) << log;
  }
  communicator.all_reduce(test::on_device(value), ReduceOp::kSum);
  synchronize();
  EXPECT_EQ(value, communicator.size());
  EXPECT_EQ(fake_calls("ncclCommDeregister"), 0);
}

TEST_F(NcclCommunicatorTest, OneGpuARank) {
  const MpiEnvironment& environment = test::environment();
  EXPECT_EQ(select_cuda_device(Backend::kMpi, environment), std::nullopt);
  EXPECT_EQ(select_cuda_device(Backend::kAuto, environment), environment.local_rank());
  EXPECT_EQ(select_cuda_device(Backend::kNccl, environment), environment.local_rank());
  fake_devices(1, 0x20 + environment.rank());  // each sees one of its own
  EXPECT_EQ(select_cuda_device(Backend::kNccl, environment), 0);
}

TEST_F(NcclCommunicatorTest, SharingAGpuIsAnErrorUnlessNcclAllowsIt) {
  const MpiEnvironment& environment = test::environment();
  fake_devices(1, 0x20);
  if (environment.size() == 1) return;
  EXPECT_THROW(select_cuda_device(Backend::kNccl, environment), ConfigError);
  EXPECT_THROW(select_cuda_device(Backend::kAuto, environment), ConfigError);
  setenv("NCCL_MULTI_RANK_GPU_ENABLE", "1", 1);
  EXPECT_THROW(select_cuda_device(Backend::kNccl, environment), ConfigError);  // 2.28
  fake_version(23000);
  EXPECT_EQ(select_cuda_device(Backend::kNccl, environment), 0);
  unsetenv("NCCL_MULTI_RANK_GPU_ENABLE");
}

TEST_F(NcclCommunicatorTest, AutoFallsBackWhereOneRankHasNoGpu) {
  const MpiEnvironment& environment = test::environment();
  if (environment.rank() == environment.size() - 1) {
    fake_fail("cudaGetDeviceCount", cudaErrorNoDevice, 0);
  }
  EXPECT_EQ(select_cuda_device(Backend::kAuto, environment), std::nullopt);
  const std::string error = error_of([&] { select_cuda_device(Backend::kNccl, environment); });
  EXPECT_TRUE(test::contains(error, "64 comm.backend: nccl needs a GPU")) << error;
  EXPECT_TRUE(test::contains(error, "no CUDA-capable device is detected")) << error;
}

TEST_F(NcclCommunicatorTest, IsMadeWhereADeviceIsGivenOrAskedFor) {
  const MpiEnvironment& environment = test::environment();
  const bool alone = environment.size() == 1;
  const CudaDevice device{select_cuda_device(Backend::kAuto, environment).value(), {}};
  CommOptions options;
  EXPECT_EQ(make_communicator(options, environment, device)->name(), alone ? "single" : "nccl");
  EXPECT_EQ(make_communicator(options, environment)->name(), alone ? "single" : "mpi");
  options.compress = Compression::kBf16;  // of the reducer, whatever the backend
  EXPECT_EQ(make_communicator(options, environment)->name(), alone ? "single" : "mpi");
  options.backend = Backend::kNccl;
  EXPECT_EQ(make_communicator(options, environment)->name(), "nccl");
}

}  // namespace
}  // namespace resnext
