// Supervision of real processes: small shell scripts in place of the ranks.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/supervisor.h"

#include <gtest/gtest.h>

#include "comm/common/error.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

// Runs `script` in place of mpirun; $run is the run folder, $PPID the supervisor.
class SupervisorTest : public testing::Test {
 protected:
  int run(const std::string& script, int max_restarts = 5) {
    LaunchPlan plan;
    plan.argv = {"sh", "-c", script};
    plan.environment = {{"run", run_.path().string()}};
    return supervise(plan, run_.path(), {max_restarts, 0, 0}).exit_code;
  }
  // What the scripts wrote with `say`.
  std::string said() const { return test::read_text(run_ / "said"); }

  // Each start gains a checkpoint; starts are counted in the file n.
  static constexpr const char* kGain =
      "n=$(cat $run/n 2>/dev/null || echo 0); n=$((n + 1)); echo $n > $run/n; "
      "mkdir -p $run/checkpoints/step-0000000$n; ";

  test::TemporaryFolder run_;
};

TEST_F(SupervisorTest, ReturnsTheRunsCode) {
  for (const int code : {0, 64, 65, 70, 73, 77}) {
    EXPECT_EQ(run("echo x >> $run/said; exit " + std::to_string(code)), code);
  }
  EXPECT_EQ(said(), "x\nx\nx\nx\nx\nx\n") << "none was started twice";
}

TEST_F(SupervisorTest, RestartsUntilTheRunIsFinished) {
  EXPECT_EQ(run(std::string(kGain) + "[ $n = 3 ] || exit 76"), 0);
  EXPECT_EQ(test::read_text(run_ / "n"), "3\n");
}

TEST_F(SupervisorTest, KilledRunIsRestartedToo) {
  EXPECT_EQ(run(std::string(kGain) + "[ $n = 2 ] || kill -9 $$"), 0);
}

TEST_F(SupervisorTest, StopsAfterSoManyRestarts) {
  EXPECT_EQ(run(std::string(kGain) + "exit 75", 2), 75);
  EXPECT_EQ(test::read_text(run_ / "n"), "3\n");
}

TEST_F(SupervisorTest, StopsWhenNoStepIsGained) {
  EXPECT_EQ(run("echo x >> $run/said; exit 76"), 76);
  EXPECT_EQ(said(), "x\nx\n");
}

// The script asks its parent to stop and then waits for the signal that this must lead to.
TEST_F(SupervisorTest, TurnsStopRequestsIntoUsr1) {
  for (const char* signal : {"TERM", "INT", "USR1"}) {
    const std::string script =
        "trap 'echo usr1 >> $run/said; exit 75' USR1; trap 'exit 99' TERM INT; "
        "kill -" +
        std::string(signal) + " $PPID; while :; do sleep 0.01; done";
    EXPECT_EQ(run(script), 75) << signal;
  }
  EXPECT_EQ(said(), "usr1\nusr1\nusr1\n");
}

TEST_F(SupervisorTest, SecondInterruptEndsTheRanks) {
  const std::string script =
      "trap 'kill -INT $PPID' USR1; trap 'echo term > $run/said; exit 1' TERM; "
      "kill -INT $PPID; while :; do sleep 0.01; done";
  EXPECT_EQ(run(script), 76);
  EXPECT_EQ(said(), "term\n");
}

TEST_F(SupervisorTest, StopRequestEndsTheWaitBeforeARestart) {
  LaunchPlan plan;
  plan.argv = {"sh", "-c",
               "mkdir -p $run/checkpoints/step-1; (sleep 0.2; kill -USR1 $PPID) & exit 76"};
  plan.environment = {{"run", run_.path().string()}};
  EXPECT_EQ(supervise(plan, run_.path(), {5, 3600, 3600}).exit_code, 76);
}

TEST_F(SupervisorTest, NamesAProgramThatIsNotThere) {
  LaunchPlan plan;
  plan.argv = {"no-such-mpirun"};
  try {
    supervise(plan, run_.path(), {});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("no-such-mpirun: cannot be started"),
              std::string::npos);
  }
}

TEST_F(SupervisorTest, ChildDoesNotReadTheTerminal) {
  EXPECT_EQ(run("read line && exit 1 || exit 0"), 0);
}

}  // namespace
}  // namespace resnext
