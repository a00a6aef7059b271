// Faults of NCCL and CUDA end as typed errors within their deadlines.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <vector>

#include "comm/common/error.h"
#include "comm/nccl_communicator.h"
#include "comm/nccl_handle.h"
#include "tests/comm/nccl_test_support.h"

namespace resnext {
namespace {

using NcclFault = test::OverFakeNccl;
using test::contains;
using test::error_of;

const std::vector<int> kResults = {ncclUnhandledCudaError, ncclSystemError,  ncclInternalError,
                                   ncclInvalidArgument,    ncclInvalidUsage, ncclRemoteError,
                                   ncclNumResults};

int world_size() {
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

int world_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

// The error is a lost peer (76), names `function` and says what NCCL said last.
void expect_names(const std::string& error, const std::string& function, int result) {
  EXPECT_EQ(error.substr(0, 3), "76 ") << function << " " << result;
  EXPECT_TRUE(contains(error, function)) << error;
  EXPECT_TRUE(contains(error, ncclGetErrorString(static_cast<ncclResult_t>(result)))) << error;
  EXPECT_TRUE(contains(error, "the fake was told to fail")) << error;
  EXPECT_TRUE(contains(error, "; ")) << error;
}

TEST_F(NcclFault, EachResultOfEachCallAtTheStart) {
  std::vector<const char*> functions = {"ncclGetVersion", "ncclCommInitRankConfig",
                                        "ncclCommGetAsyncError"};
  if (world_size() == 1) functions.push_back("ncclGetUniqueId");  // rank 0 alone calls it
  for (const char* function : functions) {
    for (int result : kResults) {
      fake_fail(function, result, 0);
      expect_names(error_of([&] { NcclCommunicator communicator(options()); }), function, result);
      fake_reset();
      MPI_Barrier(MPI_COMM_WORLD);
    }
  }
}

TEST_F(NcclFault, EachResultOfEachCollective) {
  NcclCommunicator communicator(options());
  static double value = 1;  // outlives a collective that is given up
  static std::vector<double> all(communicator.size());
  const Buffer one = test::on_device(value);
  const Buffer many{all.data(), all.size(), DataType::kFloat64, true};
  for (int result : kResults) {
    fake_fail("ncclAllReduce", result, 0);
    fake_fail("ncclBroadcast", result, 0);
    fake_fail("ncclAllGather", result, 0);
    expect_names(error_of([&] { communicator.all_reduce(one, ReduceOp::kSum); }), "ncclAllReduce",
                 result);
    expect_names(error_of([&] { communicator.broadcast(one, 0); }), "ncclBroadcast", result);
    expect_names(error_of([&] { communicator.all_gather(one, many); }), "ncclAllGather", result);
    fake_reset();
  }
}

TEST_F(NcclFault, EachAsynchronousErrorIsThrownByWait) {
  for (int result : kResults) {
    NcclCommunicator communicator(options());
    static double value = 1;  // outlives a collective that is given up
    const Ticket ticket = communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum);
    synchronize();
    fake_async_error(result);
    expect_names(error_of([&] { communicator.wait(ticket); }), "in the background", result);
    fake_reset();
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

// The training thread is held up on the device; the watchdog's abort sets it free.
TEST_F(NcclFault, AnAsynchronousErrorFreesWhoWaitsForTheDevice) {
  NcclCommunicator communicator(options());
  if (communicator.size() == 1) return;  // nobody to wait for
  static double value = 1;               // outlives a collective that is given up
  if (communicator.rank() != 0) {        // rank 0 never comes
    communicator.wait(communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum));
    fake_async_error(ncclRemoteError);
    synchronize();
    expect_names(error_of([&] { communicator.watch_current_stream("next"); }), "in the background",
                 ncclRemoteError);
    EXPECT_EQ(fake_calls("ncclCommAbort"), 1);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST_F(NcclFault, ARankThatNeverCallsACollectiveIsNamedInTime) {
  NcclCommunicator communicator(options(0.2));
  if (communicator.size() == 1) return;
  static double value = 1;  // outlives a collective that is given up
  if (communicator.rank() != 0) {
    const auto begin = std::chrono::steady_clock::now();
    const Ticket ticket = communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum);
    communicator.wait(ticket);
    synchronize();
    const std::string error = error_of([&] { communicator.wait(ticket); });
    EXPECT_EQ(error.substr(0, 3), "76 ");
    EXPECT_TRUE(contains(error, "collective 1: all_reduce of 8 bytes did not complete")) << error;
    EXPECT_TRUE(contains(error, "comm.timeout_s")) << error;
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST_F(NcclFault, ARankThatNeverStartsIsNamedInTime) {
  ncclUniqueId id{};
  if (world_rank() == 0) ncclGetUniqueId(&id);
  MPI_Bcast(&id, sizeof(id), MPI_BYTE, 0, MPI_COMM_WORLD);
  if (world_rank() != 0) {
    const std::string error = error_of([&] {
      NcclHandle handle(id, {world_rank(), world_size(), 0}, 0.2, 30);
    });
    EXPECT_TRUE(error.starts_with("76 ncclCommInitRankConfig: not all")) << error;
    EXPECT_TRUE(contains(error, "ncclCommInitRankConfig: not all ranks have come within 0.2 s"));
    EXPECT_EQ(fake_calls("ncclCommAbort"), 1);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST_F(NcclFault, ALaunchThatTakesTooLongIsNamed) {
  NcclCommunicator communicator(options(0.2));
  fake_slow_launch(1 << 30);
  static double value = 1;  // outlives a collective that is given up
  const std::string error =
      error_of([&] { communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum); });
  EXPECT_TRUE(contains(error, "ncclAllReduce: not all ranks have come within 0.2 s")) << error;
}

// ---- what cannot be thrown: on_stuck must end the process ------------------------------------

TEST_F(NcclFault, AnAbortThatHangsIsReported) {
  std::promise<std::string> stuck;
  NcclOptions o = options();
  o.abort_s = 0.1;
  o.on_stuck = [&](const Error& error) { stuck.set_value(error.what()); };
  NcclCommunicator communicator(o);
  fake_hang_abort();
  fake_async_error(ncclRemoteError);
  std::future<std::string> reported = stuck.get_future();
  ASSERT_EQ(reported.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_TRUE(contains(reported.get(), "the fake was told to fail"));
}

TEST_F(NcclFault, ATrainingThreadThatDoesNotComeBackIsReported) {
  std::promise<std::string> stuck;
  NcclOptions o = options(0.1);
  o.abort_s = 0.1;
  o.on_stuck = [&](const Error& error) { stuck.set_value(error.what()); };
  NcclCommunicator communicator(o);
  test::Gate gate(current_.get());
  communicator.watch_current_stream("a kernel that hangs");
  std::future<std::string> reported = stuck.get_future();
  ASSERT_EQ(reported.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_TRUE(contains(reported.get(), "a kernel that hangs"));
}

// The launch holds NCCL, so that not even the abort gets in.
TEST_F(NcclFault, ALaunchThatHangsIsReported) {
  bool reported = false;
  NcclOptions o = options(0.1);
  o.abort_s = 0.1;
  o.on_stuck = [&](const Error&) {
    reported = true;
    fake_reset();  // in place of the end of the process
  };
  NcclCommunicator communicator(o);
  test::Gate gate(current_.get());
  static double value = 1;  // outlives a collective that is given up
  communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum);
  fake_hang_launch();
  error_of([&] { communicator.start_all_reduce(test::on_device(value), ReduceOp::kSum); });
  EXPECT_TRUE(reported);
  gate.open();
  synchronize();
}

// ---- the end ---------------------------------------------------------------------------------

TEST_F(NcclFault, NoResultOfTheAbortIsThrown) {
  for (int result : kResults) {
    fake_fail("ncclCommAbort", result, 0);
    EXPECT_NO_THROW(NcclCommunicator communicator(options()));
    EXPECT_EQ(fake_calls("ncclCommAbort"), 1);
    fake_reset();
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

TEST_F(NcclFault, AnAbortedCommunicatorRefusesWork) {
  ncclUniqueId id{};
  if (world_rank() == 0) ncclGetUniqueId(&id);
  MPI_Bcast(&id, sizeof(id), MPI_BYTE, 0, MPI_COMM_WORLD);
  NcclHandle handle(id, {world_rank(), world_size(), 0}, 60, 30);
  EXPECT_TRUE(handle.abort());
  EXPECT_TRUE(handle.abort());
  EXPECT_EQ(fake_calls("ncclCommAbort"), 1);
  EXPECT_NO_THROW(handle.poll());
  const std::string error =
      error_of([&] { handle.run("a call", [](auto) { return ncclSuccess; }); });
  EXPECT_TRUE(contains(error, "NCCL: the communicator was aborted")) << error;
}

// An aborted communicator has ended its registrations itself.
TEST_F(NcclFault, NothingIsDeregisteredOnAnAbortedCommunicator) {
  NcclCommunicator communicator(options());
  double value = 1;
  const Buffer buffer = test::on_device(value);
  std::shared_ptr<void> registration = communicator.register_buffer(buffer);
  EXPECT_NE(registration, nullptr);
  fake_async_error(ncclRemoteError);
  EXPECT_TRUE(test::eventually([] { return fake_calls("ncclCommAbort") == 1; }));
  std::string error;
  EXPECT_TRUE(test::eventually([&] {
    error = error_of([&] { communicator.register_buffer(buffer); });
    return !error.empty();
  }));
  expect_names(error, "in the background", ncclRemoteError);
  registration.reset();
  EXPECT_EQ(fake_calls("ncclCommDeregister"), 0);
}

TEST_F(NcclFault, NoResultOfDeregisteringIsThrown) {
  NcclCommunicator communicator(options());
  std::vector<double> values(kResults.size());  // each stays registered
  for (size_t i = 0; i < kResults.size(); ++i) {
    std::shared_ptr<void> registration = communicator.register_buffer(test::on_device(values[i]));
    fake_fail("ncclCommDeregister", kResults[i], 0);
    registration.reset();
    EXPECT_EQ(fake_calls("ncclCommDeregister"), 1);
    fake_reset();
  }
}

TEST_F(NcclFault, AWrongVersionSaysWhatToDo) {
  for (int version : {12809, 2708 - 1000, 30000}) {
    fake_version(version);
    const std::string error = error_of([&] { NcclCommunicator communicator(options()); });
    EXPECT_EQ(error.substr(0, 8), "64 NCCL:") << error;
    EXPECT_TRUE(contains(error, "(code " + std::to_string(version) + ")")) << error;
    EXPECT_TRUE(contains(error, "LD_LIBRARY_PATH")) << error;
  }
  fake_version(2804);  // 2.8.4, in the old counting
  EXPECT_NO_THROW(NcclCommunicator communicator(options()));
}

// ---- CUDA ------------------------------------------------------------------------------------

TEST_F(NcclFault, EachCudaErrorAtTheStart) {
  for (const char* function : {"cudaSetDevice", "cudaDeviceGetStreamPriorityRange",
                               "cudaStreamCreateWithPriority", "cudaEventCreateWithFlags"}) {
    fake_fail(function, cudaErrorInvalidValue, 0);
    const std::string error = error_of([&] { NcclCommunicator communicator(options()); });
    EXPECT_TRUE(contains(error, std::string("70 ") + function)) << error;
    fake_reset();
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

TEST_F(NcclFault, EachCudaErrorOfACollective) {
  NcclCommunicator communicator(options());
  static double value = 1;  // outlives a collective that is given up
  for (const char* function : {"cudaStreamIsCapturing", "cudaEventRecord", "cudaStreamWaitEvent"}) {
    fake_fail(function, cudaErrorInvalidValue, 0);
    const std::string error =
        error_of([&] { communicator.all_reduce(test::on_device(value), ReduceOp::kSum); });
    EXPECT_TRUE(contains(error, std::string("70 ") + function)) << error;
    fake_reset();
  }
}

// What the user can do about it is in the configuration.
TEST_F(NcclFault, AFullGpuIsAMatterOfTheConfiguration) {
  fake_fail("cudaStreamCreateWithPriority", cudaErrorMemoryAllocation, 0);
  const std::string error = error_of([&] { NcclCommunicator communicator(options()); });
  EXPECT_TRUE(error.starts_with("64 GPU memory: cudaStreamCreateWithPriority")) << error;
  EXPECT_TRUE(contains(error, "lower batch.per_rank")) << error;
}

TEST_F(NcclFault, ACudaErrorInTheBackgroundIsThrownAtTheNextCall) {
  for (const char* function : {"cudaEventQuery", "cudaThreadExchangeStreamCaptureMode"}) {
    fake_fail(function, cudaErrorInvalidValue, 0);
    NcclCommunicator communicator(options());
    std::string error;
    EXPECT_TRUE(test::eventually([&] {
      error = error_of([&] { communicator.watch_current_stream("step"); });
      return !error.empty();
    }));
    EXPECT_TRUE(contains(error, std::string("70 ") + function)) << error;
    fake_reset();
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

}  // namespace
}  // namespace resnext
