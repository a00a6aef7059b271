// SPDX-License-Identifier: BSD-3-Clause
#include "comm/mpi_communicator.h"

#include <gtest/gtest.h>

#include <future>

#include "comm/common/error.h"
#include "tests/comm/communicator_conformance.h"
#include "tests/support/mpi_environment.h"

namespace resnext {
namespace {

TEST(MpiCommunicator, Conforms) {
  MpiCommunicator communicator(60);
  EXPECT_EQ(communicator.rank(), test::environment().rank());
  EXPECT_EQ(communicator.size(), test::environment().size());
  test::expect_conformance(communicator);
}

TEST(MpiCommunicator, RefusesTheMeanOfIntegers) {
  MpiCommunicator communicator(60);
  if (communicator.size() == 1) return;  // the mean of one value is itself
  int64_t value = 1;
  EXPECT_THROW(communicator.all_reduce({&value, 1, DataType::kInt64}, ReduceOp::kMean), CommError);
}

TEST(MpiCommunicator, TwoOfThemDoNotMix) {
  MpiCommunicator first(60), second(60);
  double a = 1, b = 10;
  const Ticket started = first.start_all_reduce({&a, 1, DataType::kFloat64}, ReduceOp::kSum);
  second.all_reduce({&b, 1, DataType::kFloat64}, ReduceOp::kSum);
  first.wait(started);
  EXPECT_EQ(a, first.size());
  EXPECT_EQ(b, 10 * second.size());
}

// Rank 0 comes late: the others give up in time and name the collective; nobody hangs.
TEST(MpiCommunicator, GivesUpOnALatePeerInTime) {
  MpiCommunicator communicator(0.2);
  if (communicator.size() == 1) return;
  static double value = 1;  // outlives the collective that is given up
  std::promise<void> never;
  if (communicator.rank() == 0) never.get_future().wait_for(std::chrono::seconds(2));
  try {
    communicator.all_reduce({&value, 1, DataType::kFloat64}, ReduceOp::kSum);
    EXPECT_EQ(communicator.rank(), 0);
  } catch (const CommError& error) {
    EXPECT_NE(communicator.rank(), 0);
    EXPECT_NE(std::string(error.what()).find("all_reduce of 8 bytes"), std::string::npos);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

}  // namespace
}  // namespace resnext
