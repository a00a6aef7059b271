// Supervision of real processes: small shell scripts in place of the ranks.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/supervisor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <sstream>

#include "comm/common/error.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

// Runs `script` in place of mpirun; $run is the run folder, $PPID the supervisor.
class SupervisorTest : public testing::Test {
 protected:
  int run(const std::string& script, int max_restarts = 5, double backoff_s = 0) {
    LaunchPlan plan;
    plan.argv = {"bash", "-c", script};
    plan.environment = {{"run", run_.path().string()}};
    return supervise(plan, {max_restarts, backoff_s, backoff_s});
  }
  int supervise(const LaunchPlan& plan, const RestartOptions& options) {
    SignalInbox inbox;
    LockOptions how;
    how.name = kLauncherLock;
    FolderLock lock = FolderLock::take(posix_files(), run_.path(), how);
    return resnext::supervise(plan, run_.path(), options, inbox, lock).exit_code;
  }
  // What the scripts wrote with `say`.
  std::string said() const { return test::read_text(run_ / "said"); }

  // Each start gains a checkpoint, though of a smaller step each time; starts are counted in the
  // file n.
  static constexpr const char* kGain =
      "n=$(cat $run/n 2>/dev/null || echo 0); n=$((n + 1)); echo $n > $run/n; "
      "save=$run/checkpoints/step-0000000$((9 - n)); mkdir -p $save; "
      "echo '{\"serial\": '$n'}' > $save/manifest.json; ";

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

TEST_F(SupervisorTest, StopsAfterFiveStartsWithoutACheckpoint) {
  EXPECT_EQ(run("echo x >> $run/said; exit 76", 1000), 76);
  EXPECT_EQ(said(), "x\nx\nx\nx\nx\n");
}

// The script asks its parent to stop and then waits for the signal that this must lead to.
TEST_F(SupervisorTest, TurnsStopRequestsIntoUsr1) {
  for (const char* signal : {"TERM", "INT", "USR1", "USR2", "HUP"}) {
    const std::string script =
        "trap 'echo usr1 >> $run/said; exit 75' USR1; trap 'exit 99' TERM INT USR2 HUP; "
        "kill -" +
        std::string(signal) + " $PPID; while :; do sleep 0.01; done";
    EXPECT_EQ(run(script), 75) << signal;
  }
  EXPECT_EQ(said(), "usr1\nusr1\nusr1\nusr1\nusr1\n");
}

// A program that is not ready yet would die of the signal; one that has forgotten it, not stop.
TEST_F(SupervisorTest, WaitsUntilTheProgramMindsTheRequestAndRepeatsIt) {
  EXPECT_EQ(run("kill -TERM $PPID; sleep 0.5; n=0; "
                "trap 'n=$((n + 1)); echo $n >> $run/said; [ $n -lt 3 ] || exit 75' USR1; "
                "while :; do sleep 0.01; done"),
            75);
  EXPECT_EQ(said(), "1\n2\n3\n");
}

TEST_F(SupervisorTest, BurstOfRequestsIsOneRequest) {
  EXPECT_EQ(run("trap 'sleep 0.3; exit 75' USR1; "
                "for s in INT TERM USR1 USR2 HUP INT INT TERM HUP INT; do kill -$s $PPID; done; "
                "while :; do sleep 0.01; done"),
            75);
}

TEST_F(SupervisorTest, RanksThatDieOfTheRequestHaveStopped) {
  EXPECT_EQ(run("trap : USR1; kill -TERM $PPID; sleep 0.2; kill -USR2 $$"), 75);
}

TEST_F(SupervisorTest, SecondInterruptEndsTheRanks) {
  const std::string script =
      "trap : USR1; trap 'echo int > $run/said; exit 1' INT; "
      "kill -INT $PPID; sleep 1.2; kill -INT $PPID; while :; do sleep 0.01; done";
  EXPECT_EQ(run(script), 130);
  EXPECT_EQ(said(), "int\n");
}

TEST_F(SupervisorTest, SecondInterruptEndsAProgramThatDoesNotMindIt) {
  EXPECT_EQ(run("trap '' USR1 INT; kill -INT $PPID; sleep 1.2; kill -INT $PPID; sleep 1000"), 130);
}

TEST_F(SupervisorTest, StopRequestEndsTheWaitBeforeARestart) {
  const SignalInbox early;
  const test::Process sender({"sh", "-c",
                              "until [ -e " + (run_ / "said") +
                                  " ]; do sleep 0.01; done; sleep 0.3; "
                                  "kill -USR1 " +
                                  std::to_string(::getpid())});
  EXPECT_EQ(run("echo x >> $run/said; exit 76", 5, 3600), 75);
  EXPECT_EQ(said(), "x\n");
}

TEST_F(SupervisorTest, StopRequestFromBeforeStartsNothing) {
  const SignalInbox early;
  ::raise(SIGTERM);
  EXPECT_EQ(run("echo x > $run/said"), 75);
  EXPECT_EQ(said(), "");
}

// What a starter leaves behind, in sessions of its own, ignoring signals, or stopped.
TEST_F(SupervisorTest, NothingOfAnAttemptLivesWhenTheNextBegins) {
  const std::string start_ranks =
      "rank() { setsid bash -c 'echo $$ >> $run/ranks; trap \"\" TERM INT HUP; exec sleep 1000' & "
      "}; "
      "if [ -e $run/ranks ]; then "
      "  for p in $(cat $run/ranks); do [ -e /proc/$p ] && echo $p lives >> $run/said; done; "
      "fi; rm -f $run/ranks; rank; rank; rank; "
      "until [ $(cat $run/ranks 2>/dev/null | wc -l) = 3 ]; do sleep 0.01; done; "
      "kill -STOP $(head -n 1 $run/ranks); ";
  EXPECT_EQ(run(std::string(kGain) + start_ranks + "[ $n = 4 ] || kill -9 $$; exit 0"), 0);
  EXPECT_EQ(test::read_text(run_ / "n"), "4\n");
  EXPECT_EQ(said(), "");
  std::istringstream ranks(test::read_text(run_ / "ranks"));
  for (std::string pid; ranks >> pid;) EXPECT_FALSE(std::filesystem::exists("/proc/" + pid)) << pid;
}

TEST_F(SupervisorTest, LosesTheFolderWhenSomebodyTakesItOver) {
  LaunchPlan plan;
  plan.argv = {"sleep", "1000"};
  SignalInbox inbox;
  LockOptions how;
  how.heartbeat_s = 0;
  FolderLock lock = FolderLock::take(posix_files(), run_.path(), how);
  std::filesystem::remove(run_.path() / how.name);
  EXPECT_THROW(resnext::supervise(plan, run_.path(), {}, inbox, lock), ConfigError);
}

TEST_F(SupervisorTest, NamesAProgramThatIsNotThere) {
  LaunchPlan plan;
  plan.argv = {"no-such-mpirun"};
  try {
    supervise(plan, {});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("no-such-mpirun: cannot be started"),
              std::string::npos);
  }
}

TEST_F(SupervisorTest, ChildDoesNotReadTheTerminal) {
  EXPECT_EQ(run("read line && exit 1 || exit 0"), 0);
}

// Under srun the ranks write to files of their own only.
TEST_F(SupervisorTest, TellsWhatRank0SaysAndWhyARunFailed) {
  LaunchPlan plan;
  plan.rank_logs = run_ / "logs";
  plan.only_rank_logs = true;
  std::filesystem::create_directories(plan.rank_logs);
  test::write_text(run_ / "logs/rank-0.log", "of an earlier start\n10:00:00 error old\n");
  plan.argv = {"bash", "-c",
               "cd " + plan.rank_logs +
                   "; echo step 1 >> rank-0.log; sleep 0.3; printf 'step 2' >> rank-0.log;"
                   "echo '10:00:01 error rank 1 train.h5: is missing' >> rank-1.log;"
                   "echo '10:00:02 error rank 1 train.h5: is missing' >> rank-2.log; exit 65"};
  testing::internal::CaptureStdout();
  EXPECT_EQ(supervise(plan, {0, 0, 0}), 65);
  const std::string out = testing::internal::GetCapturedStdout();
  const auto count = [&](const std::string& text) {
    size_t n = 0;
    for (auto at = out.find(text); at != out.npos; at = out.find(text, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(count("step 1\n"), 1u) << out;
  EXPECT_EQ(count("step 2"), 1u) << "without an end of line too";
  EXPECT_EQ(count("earlier start") + count("old"), 0u) << out;
  EXPECT_EQ(count("rank-1.log: rank 1 train.h5: is missing"), 1u) << out;
  EXPECT_EQ(count("rank-2.log"), 0u) << "it says the same";
  EXPECT_EQ(count("all that the ranks said is in " + plan.rank_logs), 1u) << out;
}

}  // namespace
}  // namespace resnext
