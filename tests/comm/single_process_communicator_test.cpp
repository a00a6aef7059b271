// SPDX-License-Identifier: BSD-3-Clause
#include "comm/single_process_communicator.h"

#include <gtest/gtest.h>

#include <utility>

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

TEST(SingleProcessCommunicator, RefusesToCopyGpuMemory) {
  SingleProcessCommunicator communicator;
  double mine = 1, all = 2;
  const Buffer host{&mine, 1, DataType::kFloat64};
  const Buffer device{&all, 1, DataType::kFloat64, /*device=*/true};
  for (const auto& [from, to] : {std::pair{host, device}, {device, host}}) {
    try {
      communicator.all_gather(from, to);
      ADD_FAILURE() << "copied";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kInternal);
    }
  }
  EXPECT_EQ(all, 2);
}

TEST(SingleProcessCommunicator, PreparesNoBuffer) {
  double value = 1;
  EXPECT_EQ(SingleProcessCommunicator().register_buffer({&value, 1}), nullptr);
}

}  // namespace
}  // namespace resnext
