// A rank that hangs: it is named after comm.timeout_s, once, and the job ends.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "tests/integration/worker_run.h"

namespace resnext::test {
namespace {

constexpr int kPeerLost = 76;
// Seconds: more than a busy machine delays a rank that is well.
const std::string kTimeout = "8";

class HungRank : public testing::TestWithParam<int> {};

TEST_P(HungRank, IsNoticedAndTheJobEnds) {
  const Workspace work;
  Process process(work.train_command(3, "run", {"run.epochs=1000", "comm.timeout_s=" + kTimeout}));
  ASSERT_TRUE(wait_until([&] { return logged_steps(work / "run") >= 5; }, kRunTimeout));
  const pid_t hung = process_of_rank(process, GetParam());
  ASSERT_GT(hung, 0);
  ::kill(hung, SIGSTOP);
  const Result result = process.wait(kRunTimeout);
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.exit_code, kPeerLost) << result.err;
  EXPECT_TRUE(process.all_gone(kRunTimeout));
  const Words lines = error_lines(result.err);
  ASSERT_EQ(lines.size(), 1u) << result.err;
  const std::string who = "lost peer: rank " + std::to_string(GetParam()) + " on ";
  for (const std::string& part : Words{who, " is stopped in ", "; start again from"}) {
    EXPECT_NE(lines[0].find(part), std::string::npos) << lines[0] << "\nlacks " << part;
  }
}

INSTANTIATE_TEST_SUITE_P(Rank, HungRank, testing::Values(0, 2));

}  // namespace
}  // namespace resnext::test
