// SPDX-License-Identifier: BSD-3-Clause
#include "comm/mpi_communicator.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

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

// 256 and 1 on each other rank. The sum is between two bfloat16 (256, 258, 260) or one of them;
// each rank's bits are the same whatever the order of additions.
TEST(MpiCommunicator, AllRanksHaveTheSameBitsOfASumOfBfloat16) {
  MpiCommunicator communicator(60);
  std::vector<uint16_t> values(10'001, communicator.rank() == 0 ? 0x4380 : 0x3f80);
  communicator.all_reduce({values.data(), values.size(), DataType::kBfloat16}, ReduceOp::kSum);
  std::vector<uint16_t> roots = values;
  communicator.broadcast({roots.data(), roots.size(), DataType::kBfloat16}, 0);
  EXPECT_EQ(values, roots);
  for (uint16_t value : values) ASSERT_TRUE(value >= 0x4380 && value <= 0x4382) << value;
}

TEST(MpiCommunicator, PreparesNoBuffer) {
  MpiCommunicator communicator(60);
  double value = 1;
  EXPECT_EQ(communicator.register_buffer({&value, 1, DataType::kFloat64}), nullptr);
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
