// A world of threads is a world as any other, and one whose ranks may be lost.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/thread_communicator.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "comm/common/error.h"
#include "tests/comm/communicator_conformance.h"

namespace resnext::test {
namespace {

struct Gone {};  // no std::exception

std::string error_of(const std::exception_ptr& outcome) {
  try {
    if (outcome) std::rethrow_exception(outcome);
  } catch (const CommError& error) {
    return error.what();
  } catch (const Gone&) {
    return "gone";
  }
  return "";
}

class Threads : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, Threads, ::testing::Values(1, 2, 3, 4));

TEST_P(Threads, Conform) {
  run_ranks(GetParam(), [](Communicator& communicator) {
    EXPECT_EQ(communicator.size(), GetParam());
    expect_conformance(communicator);
  });
}

// (1e16 + 1) + -1e16 is 0 in float64, and 1 in another order.
TEST(ThreadCommunicator, AddsInTheOrderOfTheRanks) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    run_ranks(3, [](Communicator& communicator) {
      double value = std::vector<double>{1e16, 1, -1e16}[communicator.rank()];
      communicator.all_reduce({&value, 1, DataType::kFloat64}, ReduceOp::kSum);
      EXPECT_EQ(value, 0);
    });
  }
}

TEST(ThreadCommunicator, RefusesWhatTheOthersRefuse) {
  run_ranks(2, [](Communicator& communicator) {
    int64_t value = 1;
    const Buffer buffer{&value, 1, DataType::kInt64};
    EXPECT_THROW(communicator.all_reduce(buffer, ReduceOp::kMean), CommError);
    EXPECT_THROW(communicator.broadcast(buffer, 2), CommError);
    EXPECT_THROW(communicator.all_gather(buffer, buffer), CommError);
  });
}

TEST(ThreadCommunicator, OthersLearnThatARankHasEnded) {
  for (const int gone : {0, 1, 2}) {
    const auto outcomes = outcomes_of_ranks(3, [&](Communicator& communicator) {
      communicator.barrier();
      if (communicator.rank() == gone) throw Gone();
      communicator.barrier();
    });
    for (int rank = 0; rank < 3; ++rank) {
      const std::string expected = "rank " + std::to_string(gone) + " has ended";
      const std::string error = error_of(outcomes[rank]);
      EXPECT_NE(error.find(rank == gone ? "gone" : expected), std::string::npos) << error;
    }
  }
}

TEST(ThreadCommunicator, ARankThatReturnsEarlyHasEndedToo) {
  EXPECT_THROW(run_ranks(2,
                         [](Communicator& communicator) {
                           if (communicator.rank() == 1) communicator.barrier();
                         }),
               LostRank);
}

// It was called by all: the first rank's end later changes nothing, whoever is faster.
TEST(ThreadCommunicator, ACollectiveThatAllHaveCalledCompletes) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    const auto outcomes = outcomes_of_ranks(2, [](Communicator& communicator) {
      int64_t value = 1;
      const Buffer buffer{&value, 1, DataType::kInt64};
      const Ticket ticket = communicator.start_all_reduce(buffer, ReduceOp::kSum);
      if (communicator.rank() == 0) throw Gone();
      communicator.wait(ticket);
      EXPECT_EQ(value, 2);
    });
    ASSERT_EQ(error_of(outcomes[1]), "");
  }
}

TEST(ThreadCommunicator, TheCauseIsThrownNotItsConsequences) {
  EXPECT_THROW(run_ranks(3,
                         [](Communicator& communicator) {
                           if (communicator.rank() == 2) throw Gone();
                           communicator.barrier();
                         }),
               Gone);
}

TEST(ThreadCommunicator, RanksThatDisagreeAreToldSo) {
  const auto outcomes = outcomes_of_ranks(3, [](Communicator& communicator) {
    std::vector<float> values(communicator.rank() == 1 ? 2 : 3);
    communicator.all_reduce({values.data(), values.size(), DataType::kFloat32}, ReduceOp::kSum);
  });
  for (const auto& outcome : outcomes) {
    EXPECT_NE(error_of(outcome).find("instead"), std::string::npos) << error_of(outcome);
  }
}

TEST(ThreadCommunicator, ARankThatDoesNotComeIsNamed) {
  std::promise<void> over;
  std::shared_future<void> is_over = over.get_future().share();
  const auto outcomes = outcomes_of_ranks(
      2,
      [&](Communicator& communicator) {
        if (communicator.rank() == 0) return is_over.wait();
        try {
          communicator.barrier();
        } catch (const CommError&) {
          over.set_value();
          throw;
        }
      },
      0.05);
  EXPECT_NE(error_of(outcomes[1]).find("rank 0 did not come"), std::string::npos);
  EXPECT_EQ(error_of(outcomes[0]), "");
}

TEST(ThreadCommunicatorDeathTest, ARankThatHangsEndsTheTest) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run_ranks(
                   2,
                   [](Communicator& communicator) {
                     if (communicator.rank() == 1) std::promise<void>().get_future().wait();
                   },
                   0.05),
               "rank 1 of a test hangs");
}

}  // namespace
}  // namespace resnext::test
