// main() of test programs that run on several ranks: a test that fails on any rank fails the job.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <mpi.h>

#include "comm/common/log.h"
#include "tests/support/mpi_environment.h"

namespace resnext::test {
namespace {

const MpiEnvironment* current = nullptr;

}  // namespace

const MpiEnvironment& environment() {
  return *current;
}

}  // namespace resnext::test

int main(int argc, char** argv) {
  const resnext::MpiEnvironment environment;
  resnext::test::current = &environment;
  resnext::set_up_log(environment.rank(), environment.size());
  testing::InitGoogleTest(&argc, argv);
  int result = RUN_ALL_TESTS();
  MPI_Allreduce(MPI_IN_PLACE, &result, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  return result;
}
