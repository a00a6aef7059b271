// Faults of NCCL end the whole job with the exit code of the contract, in time.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <string>

#include "tests/support/process.h"

namespace resnext {
namespace {

struct Case {
  std::string fault;
  int exit_code;
  std::string says;
};

class NcclExitCode : public testing::TestWithParam<Case> {};

TEST_P(NcclExitCode, IsTheContracts) {
  const test::Result result =
      test::run({RESNEXT_MPIEXEC, "--oversubscribe", "--bind-to", "none", "--mca",
                 "mpi_yield_when_idle", "1", "-np", "2", RESNEXT_NCCL_PROGRAM, GetParam().fault},
                50, {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"});
  EXPECT_FALSE(result.timed_out);
  EXPECT_LT(result.seconds, 19);  // who is not at fault would wait for 20
  EXPECT_EQ(result.exit_code, GetParam().exit_code) << result.err;
  EXPECT_NE(result.err.find(GetParam().says), std::string::npos) << result.err;
  const size_t first = result.err.find(" error rank ");
  EXPECT_EQ(first, result.err.rfind(" error rank ")) << "more than one cause: " << result.err;
}

INSTANTIATE_TEST_SUITE_P(
    Faults, NcclExitCode,
    testing::Values(Case{"none", 0, ""}, Case{"init", 76, "ncclCommInitRankConfig"},
                    Case{"all_reduce", 76, "ncclAllReduce"}, Case{"async", 76, "remote process"},
                    Case{"lost", 76, "rank 1 on "}, Case{"hanging_abort", 76, "rank 1 on "},
                    Case{"data", 65, "error rank 1 images: a sample is damaged; pack them again"},
                    Case{"full_gpu", 64, "lower batch.per_rank"},
                    Case{"version", 64, "version 3 was loaded"},
                    Case{"too_few_gpus", 64, "ranks 0 and 1 are on the same GPU"}),
    [](const auto& it) { return it.param.fault; });

}  // namespace
}  // namespace resnext
