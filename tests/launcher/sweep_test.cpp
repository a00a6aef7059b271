// Whole sweeps by the real launcher, with a shell script in place of resnext_worker.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "launcher/sweep_task.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using test::Result;
using test::Words;

// Writes metrics as the worker does: top1 is ten times the seed. A trial of seed 3 fails while the
// file `fail` is there; all wait while the file `wait` is.
constexpr const char* kWorker = R"sh(#!/bin/sh
out=$(sed -n 's/^ *output: "\(.*\)"/\1/p' "$1")
seed=$(sed -n 's/^ *seed: //p' "$1")
here=$(dirname "$0")
echo "$seed gpus=$CUDA_VISIBLE_DEVICES cores=$(taskset -cp $$ | sed 's/.*: //')" >> "$here/starts"
mkdir -p "$out"
[ "$seed" = 3 ] && [ -e "$here/fail" ] && exit 77
while [ -e "$here/wait" ]; do sleep 0.01; done
echo "{\"event\":\"train\",\"step\":5,\"loss\":1}" > "$out/metrics.jsonl"
echo "{\"event\":\"validation\",\"step\":5,\"top1\":$((seed * 10))}" >> "$out/metrics.jsonl"
echo "{\"event\":\"end\",\"exit_code\":0}" >> "$out/metrics.jsonl"
)sh";

// Trains by a closed form: after epoch e of 12 a trial of an even seed s has a top-1 of 50 + 5 s -
// 6 s / e %, one of an odd seed has 50 + 5 s % from the first epoch on. Of 1 to 6 seed 5 leads
// until seed 6 overtakes it in the eighth epoch and wins. A trial of the seed in the file `broken`
// dies.
constexpr const char* kCurves = R"sh(#!/bin/sh
out=$(sed -n 's/^ *output: "\(.*\)"/\1/p' "$1")
seed=$(sed -n 's/^ *seed: //p' "$1")
here=$(dirname "$0")
last=12
for word; do case $word in run.pause_epoch=*) last=${word#*=} ;; esac; done
echo "$seed to $last" >> "$here/starts"
[ "$(cat "$here/broken" 2>/dev/null)" = "$seed" ] && exit 70
mkdir -p "$out"
e=$(grep -c validation "$out/metrics.jsonl" 2>/dev/null)
while [ "${e:-0}" -lt "$last" ]; do
  e=$((e + 1))
  top1=$((5000 + 500 * seed - (seed % 2 ? 0 : 600 * seed / e)))
  echo "{\"event\":\"train\",\"step\":$e,\"loss\":1}"
  echo "{\"event\":\"validation\",\"step\":$e,\"epoch\":$((e - 1)),\"top1\":${top1%??}.${top1#??}}"
done >> "$out/metrics.jsonl"
echo "{\"event\":\"end\",\"step\":$last,\"total_steps\":12,\"exit_code\":0}" >> "$out/metrics.jsonl"
)sh";

constexpr const char* kRule = "stop: {rungs: [2, 4], keep: 0.67}\n";

class SweepTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy_file(fs::path(RESNEXT_BIN_DIR).parent_path() / "libexec/resnext_launcher_program",
                  folder_ / "resnext_launcher");
    test::write_text(folder_ / "resnext_worker", kWorker);
    fs::permissions(folder_ / "resnext_worker", fs::perms::owner_all);
    test::write_text(folder_ / "base.yaml", "run: {epochs: 1}\n");
    test::write_text(folder_ / "s.yaml", "base: base.yaml\noutput: " + (folder_ / "out") +
                                             "\ngrid: {run.seed: [1, 3, 2]}\n");
  }
  Result sweep(const Words& more = {}) {
    Words words = {folder_ / "resnext_launcher", "sweep", folder_ / "s.yaml", "-n", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return test::run(words, 50);
  }
  void write_sweep(const std::string& output, const std::string& seeds,
                   const std::string& rule = kRule) const {
    test::write_text(folder_ / "s.yaml", "base: base.yaml\noutput: " + (folder_ / output) + "\n" +
                                             rule + "grid: {run.seed: " + seeds + "}\n");
  }
  void set_up_curves() const {
    test::write_text(folder_ / "resnext_worker", kCurves);
    test::write_text(folder_ / "base.yaml", "run: {epochs: 12}\ndata: {validation: v.h5}\n");
    write_sweep("out", "[1, 2, 3, 4, 5, 6]");
  }
  size_t starts() const {
    const std::string text = test::read_text(folder_ / "starts");
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  std::string leaderboard() const { return test::read_text(folder_ / "out/leaderboard.csv"); }
  // The journal's lines about rungs.
  std::string decisions(const std::string& output) const {
    std::istringstream stream(test::read_text(folder_.path() / output / "trials.jsonl"));
    std::string lines;
    for (std::string line; std::getline(stream, line);) {
      if (line.starts_with("{\"rung\"")) lines += line + "\n";
    }
    return lines;
  }

  test::TemporaryFolder folder_;
};

TEST_F(SweepTest, DryRunStartsAndWritesNothing) {
  const Result result = sweep({"--dry-run"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("seed3"), std::string::npos) << result.out;
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  EXPECT_EQ(starts(), 0u);
}

TEST_F(SweepTest, RanksTheTrialsByTheMetric) {
  const Result result = sweep();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string csv = leaderboard();
  const auto first = csv.find("seed3,1,30,finished,3,");
  const auto second = csv.find("seed2,2,20,finished,2,");
  const auto third = csv.find("seed1,3,10,finished,1,");
  EXPECT_TRUE(first < second && second < third && third != csv.npos) << csv;
  EXPECT_NE(result.out.find("trial  place  top1     state"), std::string::npos) << result.out;
}

TEST_F(SweepTest, FinishedTrialsAreSkippedAndFailedOnesRetried) {
  test::write_text(folder_ / "fail", "");
  Result result = sweep();
  EXPECT_EQ(result.exit_code, 77) << result.err;
  EXPECT_EQ(starts(), 3u) << "the others ran all the same";
  EXPECT_NE(leaderboard().find("seed3,,,failed (77)"), std::string::npos) << leaderboard();
  fs::remove(folder_ / "fail");
  result = sweep();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(starts(), 4u);
  EXPECT_NE(leaderboard().find("seed3,1,30,finished"), std::string::npos) << leaderboard();
  EXPECT_EQ(sweep().exit_code, 0);
  EXPECT_EQ(starts(), 4u) << "all are finished";
}

TEST_F(SweepTest, RunsOneTrialOfAnArray) {
  EXPECT_EQ(sweep({"--trial", "1"}).exit_code, 0);
  EXPECT_EQ(test::read_text(folder_ / "starts").substr(0, 2), "3 ");
  EXPECT_EQ(starts(), 1u);
  EXPECT_EQ(sweep({"--trial", "3"}).exit_code, 64);
}

TEST_F(SweepTest, ParallelTrialsGetDisjointCores) {
  const Result result = sweep({"--parallel", "2"});
  if (result.err.find("there is 1 cores") != std::string::npos) GTEST_SKIP() << "one core only";
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(starts(), 3u);
  const std::string lines = test::read_text(folder_ / "starts");
  const auto cores = [&](char seed) {
    const auto line = lines.find(std::string(1, seed) + " gpus=");
    const auto begin = lines.find("cores=", line);
    return lines.substr(begin, lines.find('\n', begin) - begin);
  };
  EXPECT_NE(cores('1'), cores('3')) << lines;
  EXPECT_EQ(sweep({"--parallel", "1000"}).exit_code, 64);
}

TEST_F(SweepTest, BadSweepStartsNothing) {
  test::write_text(folder_ / "s.yaml", "base: base.yaml\noutput: out\ngrid: {run.sed: [1]}\n");
  const Result result = sweep();
  EXPECT_EQ(result.exit_code, 64);
  EXPECT_NE(result.err.find("s.yaml:3:8: unknown key 'run.sed'"), std::string::npos) << result.err;
  EXPECT_EQ(starts(), 0u);
}

TEST_F(SweepTest, SecondSweepIsToldWhoseTheFolderIs) {
  test::write_text(folder_ / "wait", "");
  test::Process first({folder_ / "resnext_launcher", "sweep", folder_ / "s.yaml", "-n", "1"});
  ASSERT_TRUE(test::wait_until([&] { return starts() == 1; }, 30));
  const Result second = sweep();
  EXPECT_EQ(second.exit_code, 64);
  EXPECT_NE(second.err.find("is in use by resnext_launcher sweep, process " +
                            std::to_string(first.pid())),
            std::string::npos)
      << second.err;
  const Result task = sweep({"--trial", "0"});
  EXPECT_EQ(task.exit_code, 64) << "the trial has a lock of its own";
  EXPECT_NE(task.err.find("is in use by resnext_launcher run"), std::string::npos) << task.err;
  fs::remove(folder_ / "wait");
  EXPECT_EQ(first.wait(50).exit_code, 0);
  EXPECT_EQ(starts(), 3u);
}

TEST_F(SweepTest, StopRequestLeavesTheRestFor75) {
  test::write_text(folder_ / "wait", "");
  test::Process first({folder_ / "resnext_launcher", "sweep", folder_ / "s.yaml", "-n", "1"});
  ASSERT_TRUE(test::wait_until([&] { return starts() == 1; }, 30));
  ::kill(first.pid(), SIGHUP);
  ::kill(first.pid(), SIGUSR2);
  fs::remove(folder_ / "wait");
  EXPECT_EQ(first.wait(50).exit_code, 75);
  EXPECT_EQ(starts(), 1u);
}

TEST_F(SweepTest, RepeatsOverSeedsAreRankedByTheirMean) {
  // top1 is ten times the seed: seeds 1, 2, 3 of the first, of the second the same.
  test::write_text(folder_ / "s.yaml", "base: base.yaml\noutput: " + (folder_ / "out") +
                                           "\nrepeats: 3\ngrid: {run.epochs: [1, 2]}\n");
  const Result result = sweep();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(starts(), 6u);
  EXPECT_NE(leaderboard().find("epochs2-seed3,"), std::string::npos) << leaderboard();
  EXPECT_NE(leaderboard().find(",20,10,3\r\n"), std::string::npos) << "mean 20, spread 10";
  EXPECT_NE(result.out.find("place  top1  spread  seeds     state"), std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("     1    20      10      3  finished"), std::string::npos)
      << result.out;
}

TEST_F(SweepTest, StatusTellsWhatHasFinishedAndWhyOthersFailed) {
  EXPECT_EQ(sweep({}).exit_code, 0);
  test::write_text(folder_ / "fail", "");
  fs::remove_all(folder_ / "out/seed3");
  fs::remove(folder_ / "out/trials.jsonl");
  EXPECT_EQ(sweep({}).exit_code, 77);
  const auto status = [&](const std::string& what) {
    return test::run({folder_ / "resnext_launcher", "sweep", "status", what}, 30);
  };
  for (const std::string& what : {folder_ / "s.yaml", folder_ / "out"}) {
    const Result result = status(what);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("3 trials in"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("1 failed, 2 finished"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("diverged"), std::string::npos) << result.out;
  }
  EXPECT_EQ(status(folder_ / "base.yaml").exit_code, 64);
}

TEST_F(SweepTest, StatusSeesARunningTrialAndALostOne) {
  test::write_text(folder_ / "wait", "");
  test::Process all({folder_ / "resnext_launcher", "sweep", folder_ / "s.yaml", "-n", "1"});
  ASSERT_TRUE(test::wait_until([&] { return starts() == 1; }, 30));
  const auto status = [&] {
    return test::run({folder_ / "resnext_launcher", "sweep", "status", folder_ / "out"}, 30).out;
  };
  EXPECT_NE(status().find("1 running, 2 waiting"), std::string::npos) << status();
  ::kill(all.pid(), SIGTERM);
  fs::remove(folder_ / "wait");
  all.wait(50);
  test::write_text(folder_ / "out/trials.jsonl", "{\"trial\":\"seed3\",\"starts\":1}\n{\"tor");
  EXPECT_NE(status().find("1 finished, 1 lost, 1 waiting"), std::string::npos) << status();
}

// It must neither read nor write what belongs to the others.
TEST_F(SweepTest, TaskOfAnArrayTouchesItsOwnTrialOnly) {
  EXPECT_EQ(sweep({"--trial", "1"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "out/seed1"));
  EXPECT_FALSE(fs::exists(folder_ / "out/seed2"));
  fs::create_directories(folder_ / "out/seed2");
  test::write_text(folder_ / "out/seed2/trial.yaml", "made otherwise\n");
  EXPECT_EQ(sweep({"--trial", "0"}).exit_code, 0) << "another trial's folder is not looked at";
  EXPECT_EQ(sweep().exit_code, 64);
}

TEST_F(SweepTest, EndWithoutResultIsNotCalledAFailureWithZero) {
  test::write_text(folder_ / "resnext_worker", "#!/bin/sh\nexit 0\n");
  sweep();
  EXPECT_NE(leaderboard().find("seed3,,,no result"), std::string::npos) << leaderboard();
}

// A trial's launcher that is killed leaves a worker that does not care.
TEST_F(SweepTest, OrphansOfATrialEndAndTheOtherTrialsLive) {
  test::write_text(folder_ / "resnext_worker",
                   "#!/bin/sh\ntrap '' TERM INT\necho $$ $PPID >> \"$(dirname \"$0\")/pids\"\n"
                   "while [ ! -e \"$(dirname \"$0\")/go\" ]; do sleep 0.01; done\n");
  test::Process all({folder_ / "resnext_launcher", "sweep", folder_ / "s.yaml", "-n", "1"});
  const auto pids = [&] {
    std::istringstream stream(test::read_text(folder_ / "pids"));
    return std::vector<pid_t>{std::istream_iterator<pid_t>(stream), {}};
  };
  ASSERT_TRUE(test::wait_until([&] { return pids().size() == 2; }, 30));
  ::kill(pids()[1], SIGKILL);
  ASSERT_TRUE(test::wait_until([&] { return pids().size() == 4; }, 30));
  EXPECT_FALSE(fs::exists("/proc/" + std::to_string(pids()[0])));
  test::write_text(folder_ / "go", "");
  EXPECT_EQ(all.wait(50).exit_code, 128 + SIGKILL);
  EXPECT_TRUE(all.all_gone(5));
}

class HalvedSweepTest : public SweepTest {
 protected:
  void SetUp() override {
    SweepTest::SetUp();
    set_up_curves();
  }
};

// Of six four go on, of those two.
constexpr const char* kDecisions =
    R"({"rung":1,"epochs":2,"metric":"top1","goal":"max","keep":0.67,"scores":{"seed1":55.0,)"
    R"("seed2":54.0,"seed3":65.0,"seed4":58.0,"seed5":75.0,"seed6":62.0},)"
    R"("kept":["seed5","seed3","seed6","seed4"]})"
    "\n"
    R"({"rung":2,"epochs":4,"metric":"top1","goal":"max","keep":0.67,"scores":{"seed3":65.0,)"
    R"("seed4":64.0,"seed5":75.0,"seed6":71.0},"kept":["seed5","seed6"]})"
    "\n";

TEST_F(HalvedSweepTest, KeepsTheWinnerAndDecidesTheSameASecondTime) {
  const Result result = sweep();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(starts(), 6u + 4u + 2u);
  EXPECT_EQ(decisions("out"), kDecisions);
  const std::string csv = leaderboard();
  for (const char* row : {"seed6,1,77,finished,6,", "seed5,2,75,finished,5,",
                          "seed3,3,65,stopped at rung 2,3,", "seed4,4,64,stopped at rung 2,4,",
                          "seed1,5,55,stopped at rung 1,1,", "seed2,6,54,stopped at rung 1,2,"}) {
    EXPECT_NE(csv.find(row), std::string::npos) << csv;
  }
  EXPECT_EQ(sweep().exit_code, 0);
  EXPECT_EQ(starts(), 12u) << "what was stopped is done";
  fs::remove_all(folder_ / "out/seed1");
  EXPECT_EQ(sweep().exit_code, 0);
  EXPECT_EQ(starts(), 12u) << "as the journal says";
  write_sweep("again", "[1, 2, 3, 4, 5, 6]");
  EXPECT_EQ(sweep().exit_code, 0);
  EXPECT_EQ(decisions("again"), kDecisions);
}

TEST_F(HalvedSweepTest, StatusAndReportTellWhereATrialWasStopped) {
  EXPECT_EQ(sweep().exit_code, 0);
  const Result status =
      test::run({folder_ / "resnext_launcher", "sweep", "status", folder_ / "out"}, 30);
  EXPECT_NE(status.out.find("2 finished, 2 stopped at rung 1, 2 stopped at rung 2"),
            std::string::npos)
      << status.out;
  EXPECT_EQ(test::run({folder_ / "resnext_launcher", "report", folder_ / "out"}, 30).exit_code, 0);
  const std::string page = test::read_text(folder_ / "out/report.html");
  EXPECT_NE(page.find(R"("state":"stopped at rung 2")"), std::string::npos);
  EXPECT_EQ(page.find(R"("run.pause_epoch")"), std::string::npos) << "no setting of the trial";
}

// A trial that cannot be run holds its rung up: it is decided when it has come there, and no
// sooner.
TEST_F(HalvedSweepTest, AnInterruptedSweepDecidesTheSame) {
  test::write_text(folder_ / "broken", "3");
  const Result result = sweep();
  EXPECT_EQ(result.exit_code, 70) << result.err;
  EXPECT_NE(result.err.find("rung 1 waits for seed3"), std::string::npos) << result.err;
  EXPECT_EQ(decisions("out"), "");
  const Result status =
      test::run({folder_ / "resnext_launcher", "sweep", "status", folder_ / "out"}, 30);
  EXPECT_NE(status.out.find("1 failed, 5 paused"), std::string::npos) << status.out;
  fs::remove(folder_ / "broken");
  const size_t before = starts();
  EXPECT_EQ(sweep().exit_code, 0);
  EXPECT_EQ(starts() - before, 1u + 4u + 2u) << "the others wait at the rung";
  EXPECT_EQ(decisions("out"), kDecisions);
}

TEST_F(HalvedSweepTest, AnEditedSweepIsDecidedAsIfItHadAlwaysBeenSo) {
  write_sweep("out", "[1, 2, 3, 4]");
  EXPECT_EQ(sweep().exit_code, 0);
  EXPECT_NE(leaderboard().find("seed3,1,65,finished"), std::string::npos) << leaderboard();
  write_sweep("out", "[1, 2, 3, 4, 5, 6]");
  EXPECT_EQ(sweep().exit_code, 0);
  const std::string all = decisions("out");
  EXPECT_TRUE(all.ends_with(kDecisions)) << all;
  EXPECT_NE(leaderboard().find("seed6,1,77,finished"), std::string::npos) << leaderboard();
  write_sweep("out", "[1, 2, 3, 4, 5, 6]", "");
  EXPECT_EQ(sweep().exit_code, 0);
  EXPECT_NE(leaderboard().find("seed1,6,55,finished"), std::string::npos) << "no rule any more";
}

// Slurm's programs, as far as a sweep looks at them: `queue` is what squeue says.
class SlurmSweepTest : public SweepTest {
 protected:
  void SetUp() override {
    SweepTest::SetUp();
    program("sbatch", "echo \"$@\" >> $here/submitted; echo 12");
    program("squeue", "cat $here/queue");
    test::write_text(folder_ / "queue", "");
  }
  void program(const std::string& name, const std::string& script) {
    test::write_text(folder_ / name, "#!/bin/sh\nhere=" + folder_.path().string() + "\n" + script);
    fs::permissions(folder_ / name, fs::perms::owner_all);
  }
  Result with_slurm(const Words& more) {
    Words words = {folder_ / "resnext_launcher", "sweep"};
    words.insert(words.end(), more.begin(), more.end());
    return test::run(words, 50, {"PATH=" + folder_.path().string() + ":" + std::getenv("PATH")});
  }
  Words slurm(const Words& more = {}) const {
    Words words = {folder_ / "s.yaml", "--slurm", "--script", "job.sh"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string submitted() const { return test::read_text(folder_ / "submitted"); }
  std::string snapshot() const {
    for (const auto& entry : fs::directory_iterator(folder_ / "out")) {
      if (entry.path().filename().string().starts_with("snapshot-")) return entry.path().string();
    }
    return "";
  }
};

TEST_F(SlurmSweepTest, QueuedAndFinishedTrialsAreNotSubmittedAgain) {
  EXPECT_EQ(with_slurm(slurm()).exit_code, 0);
  EXPECT_EQ(submitted(), "--parsable --array=0,1,2 job.sh " + snapshot() + "\n");
  test::write_text(folder_ / "queue", "12_0\n12_2\n99_1\n");
  EXPECT_EQ(with_slurm(slurm()).exit_code, 0);
  EXPECT_NE(submitted().find("--array=1 "), std::string::npos) << submitted();
  test::write_text(folder_ / "queue", "12_0\n12_1\n12_2\n");
  const std::string before = submitted();
  EXPECT_EQ(with_slurm(slurm()).exit_code, 0);
  EXPECT_EQ(submitted(), before);
  EXPECT_EQ(with_slurm({folder_ / "s.yaml", "-n", "1"}).exit_code, 0);
  EXPECT_EQ(starts(), 0u) << "nor are they run here";
  program("squeue", "exit 1");
  EXPECT_EQ(with_slurm(slurm()).exit_code, 64);
}

TEST_F(SlurmSweepTest, TaskRunsWhatWasSubmittedWhateverTheFileSaysNow) {
  EXPECT_EQ(with_slurm(slurm()).exit_code, 0);
  test::write_text(folder_ / "s.yaml", "base: base.yaml\noutput: " + (folder_ / "out") +
                                           "\ngrid: {run.seed: [9, 8, 1, 3, 2]}\n");
  test::write_text(folder_ / "base.yaml", "run: {epochs: 7}\n");
  const Result result = with_slurm({snapshot(), "-n", "1", "--trial", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(test::read_text(folder_ / "starts").substr(0, 2), "3 ");
  EXPECT_NE(leaderboard().find("seed3,1,30,finished,3,"), std::string::npos) << leaderboard();
  EXPECT_EQ(with_slurm({snapshot(), "--trial", "0", "run.epochs=2"}).exit_code, 64);
  EXPECT_EQ(with_slurm({snapshot() + ".json", "--trial", "0"}).exit_code, 64);
}

TEST_F(SlurmSweepTest, DryRunShowsTheLineThatWouldSubmit) {
  const Words options = {"-n",         "4",        "--max-restarts", "3",
                         "--stage-to", "/tmp/a b", "--launcher",     "mpirun"};
  Words dry = options;
  dry.push_back("--dry-run");
  const Result result = with_slurm(slurm(dry));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(submitted(), "");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  const auto line = result.out.find("sbatch --array=0,1,2 job.sh ");
  ASSERT_NE(line, std::string::npos) << result.out;
  EXPECT_NE(
      result.out.find(" -n 4 --max-restarts 3 --launcher mpirun --stage-to '/tmp/a b'\n", line),
      std::string::npos)
      << result.out;
  EXPECT_EQ(with_slurm(slurm(options)).exit_code, 0);
  EXPECT_NE(result.out.find(snapshot()), std::string::npos) << "the very file";
}

// One array to each rung and one to the end, each behind the one before. Its tasks may come in any
// order, also those of trials that are stopped by then.
TEST_F(SlurmSweepTest, ArraysDecideAsTheSweepOnOneMachine) {
  set_up_curves();
  const Result dry = with_slurm(slurm({"--dry-run"}));
  EXPECT_NE(dry.out.find("--dependency=afterany:JOB_ABOVE"), std::string::npos) << dry.out;
  EXPECT_EQ(with_slurm(slurm()).exit_code, 0);
  const std::string array = "--parsable --array=0,1,2,3,4,5 ";
  const std::string job = "job.sh " + snapshot() + "\n", after = "--dependency=afterany:12 ";
  EXPECT_EQ(submitted(), array + job + array + after + job + array + after + job);
  for (const char* order : {"530142", "012345", "543210"}) {
    for (const char task : std::string(order)) {
      const Result result = with_slurm({snapshot(), "-n", "1", "--trial", std::string(1, task)});
      EXPECT_EQ(result.exit_code, 0) << result.err;
    }
  }
  EXPECT_EQ(decisions("out"), kDecisions);
  EXPECT_NE(leaderboard().find("seed6,1,77,finished"), std::string::npos) << leaderboard();
  const size_t before = starts();
  test::write_text(folder_ / "submitted", "");
  EXPECT_EQ(with_slurm(slurm()).exit_code, 0);
  EXPECT_EQ(submitted(), "") << "all are done";
  EXPECT_EQ(starts(), before);
}

TEST_F(SlurmSweepTest, FailedSubmissionIsNoSubmission) {
  program("sbatch", "echo no such partition >&2; exit 1");
  EXPECT_EQ(with_slurm(slurm()).exit_code, 64);
  EXPECT_FALSE(fs::exists(folder_ / "out/submissions.json"));
}

TEST(SbatchCommand, HasTheUnfinishedTrialsOnly) {
  SweepTask task;
  task.file = "/x/s.yaml";
  task.parallel = 2;
  task.sbatch_options = {"--time=60"};
  task.ranks = 8;
  EXPECT_EQ(sbatch_command(task, "/y/job.sh", "/z/snapshot-1.json", {0, 2, 3}),
            (Words{"sbatch", "--array=0,2,3%2", "--time=60", "/y/job.sh", "/z/snapshot-1.json",
                   "-n", "8"}));
}

}  // namespace
}  // namespace resnext
