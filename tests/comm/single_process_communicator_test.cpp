// SPDX-License-Identifier: BSD-3-Clause
#include "comm/single_process_communicator.h"

#include <gtest/gtest.h>

#include "comm/common/error.h"
#include "tests/comm/communicator_conformance.h"

namespace resnext {
namespace {

TEST(SingleProcessCommunicator, Conforms) {
  SingleProcessCommunicator communicator;
  test::expect_conformance(communicator);
}

TEST(SingleProcessCommunicator, RefusesARootThatIsNoRank) {
  SingleProcessCommunicator communicator;
  EXPECT_THROW(communicator.broadcast({}, 1), CommError);
}

}  // namespace
}  // namespace resnext
