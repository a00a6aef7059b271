// A bit that flips in one rank's network is found at the next look, on a real network.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <random>

#include "comm/common/error.h"
#include "comm/mpi_communicator.h"
#include "tests/support/training.h"
#include "worker/state/host_copy.h"
#include "worker/state/replicas.h"

namespace resnext::test {
namespace {

constexpr int kFlips = 500;

class FlippedBits : public testing::Test {
 protected:
  FlippedBits()
      : communicator_(60), training_(small_config(Compute::kFp32), communicator_, at::kCPU) {}

  std::vector<at::Tensor> tensors() {
    std::vector<at::Tensor> learned = training_.model.parameters();
    for (const auto& [name, m] : training_.step->optimizer().state_dict()) learned.push_back(m);
    std::vector<at::Tensor> all = whole_storages(learned);
    for (const at::Tensor& statistic : training_.model.statistics()) all.push_back(statistic);
    return all;
  }
  // Empty when all ranks agree.
  std::string look() {
    try {
      watch_replicas(communicator_, ReplicaReport{checksum_of(tensors())}, 7, 1, false);
      return "";
    } catch (const CommError& error) {
      return error.what();
    }
  }
  int rank() const { return communicator_.rank(); }

  MpiCommunicator communicator_;
  Training training_;
};

// The same draws on all ranks; one of them flips the bit, all look, and it is put back.
TEST_F(FlippedBits, AreFoundAndTheRankIsNamed) {
  training_.train(training_.batches(2, 5));  // momentum is no longer zero
  ASSERT_EQ(look(), "");
  std::mt19937 random(11);
  for (int flip = 0; flip < kFlips; ++flip) {
    const auto all = tensors();
    const at::Tensor& tensor = all[random() % all.size()];
    const auto bad = static_cast<int>(random() % static_cast<unsigned>(communicator_.size()));
    const uint64_t bit = random() % (8 * tensor.nbytes());
    auto& byte = static_cast<uint8_t*>(tensor.data_ptr())[bit / 8];
    const auto mask = static_cast<uint8_t>(1U << (bit % 8));
    if (rank() == bad) byte ^= mask;
    const std::string found = look();
    if (rank() == bad) byte ^= mask;
    if (communicator_.size() == 1) {
      ASSERT_EQ(found, "");
      continue;
    }
    ASSERT_NE(found, "") << "bit " << bit;
    if (communicator_.size() < 3) continue;
    ASSERT_NE(found.find("rank " + std::to_string(bad) + " has other weights"), std::string::npos)
        << found;
  }
  EXPECT_EQ(look(), "");
}

// What is rounded is rounded alike everywhere.
TEST_F(FlippedBits, CleanStepsAreSilent) {
  for (uint64_t step = 0; step < 100; ++step) {
    training_.train(training_.batches(1, 100 * step + static_cast<uint64_t>(rank())));
    ASSERT_EQ(look(), "") << step;
  }
}

}  // namespace
}  // namespace resnext::test
