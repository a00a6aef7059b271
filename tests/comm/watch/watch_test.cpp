// Every failure class on every rank, as processes under mpirun: how the job ends, what is printed,
// what is left.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>

#include "tests/support/process.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

constexpr int kPeerLost = 76;
constexpr int kLimit = 3;        // seconds; of faults that must be noticed by time
constexpr double kLong = 100;    // of others: nobody would wait for it
constexpr double kStarting = 6;  // what mpirun and a busy machine add to a run

Words job(int ranks, double limit_s, const Words& faults) {
  Words command = mpirun(RESNEXT_MPIEXEC, ranks);
  command.insert(command.end(), {RESNEXT_WATCH_PROGRAM, std::to_string(limit_s)});
  command.insert(command.end(), faults.begin(), faults.end());
  return command;
}

// Ranks of a host; 0: all are on one.
struct Hosts {
  int ranks_per_host = 0;
};

class Watch : public testing::Test {
 protected:
  Words environment(Hosts hosts = {}) const {
    Words variables = {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
                       "FLIGHT_FOLDER=" + folder_ / "flight"};
    if (hosts.ranks_per_host > 0) {
      variables.push_back("RESNEXT_RANKS_PER_HOST=" + std::to_string(hosts.ranks_per_host));
    }
    return variables;
  }

  Result run_job(int ranks, double limit_s, const Words& faults, Hosts hosts = {}) const {
    Process process(job(ranks, limit_s, faults), environment(hosts));
    const Result result = process.wait(60);
    EXPECT_FALSE(result.timed_out) << result.err;
    EXPECT_TRUE(process.all_gone(10));
    return result;
  }

  // Exactly one error line, with this text. `most`: where hosts cannot hear of each other each may
  // say it.
  static void expect_line(const Result& result, const std::string& text, int most = 1) {
    static const std::regex kError(R"((^|\n)\d\d:\d\d:\d\d error ([^\n]*))");
    const std::sregex_iterator begin(result.err.begin(), result.err.end(), kError), end;
    EXPECT_GE(std::distance(begin, end), 1) << result.err;
    EXPECT_LE(std::distance(begin, end), most) << result.err;
    for (auto it = begin; it != end; ++it) {
      EXPECT_NE((*it)[2].str().find(text), std::string::npos) << result.err;
    }
  }

  std::string record(int rank) const {
    return read_text(folder_ / ("flight/rank-000" + std::to_string(rank) + ".json"));
  }

  const TemporaryFolder folder_;
};

TEST_F(Watch, ARunWithoutAFaultIsSilent) {
  for (const Hosts hosts : {Hosts{0}, Hosts{1}, Hosts{2}}) {
    const Result result = run_job(3, kLong, {}, hosts);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_FALSE(fs::exists(folder_ / "flight"));
  }
}

// ---- who fails by itself: each code on each rank, while the others are in a collective
// -----------

struct Failing {
  int code;
  int rank;
  int ranks_per_host;
};

class EachFailure : public Watch, public testing::WithParamInterface<Failing> {};

TEST_P(EachFailure, IsPrintedOnceAndRulesTheExitCode) {
  const auto [code, rank, ranks_per_host] = GetParam();
  const Result result =
      run_job(3, kLong, {std::to_string(rank), "fail:" + std::to_string(code)}, {ranks_per_host});
  EXPECT_EQ(result.exit_code, code) << result.err;
  expect_line(result, "rank " + std::to_string(rank) + " here: the fault of code " +
                          std::to_string(code) + "; mend it");
  for (int r = 0; r < 3; ++r) {
    EXPECT_NE(record(r).find("\"first_cause\":{\"rank\":" + std::to_string(rank)),
              std::string::npos)
        << record(r);
  }
}

std::vector<Failing> failures() {
  std::vector<Failing> all;
  for (const int code : {64, 65, 70, 73, 76, 77}) {
    for (int rank = 0; rank < 3; ++rank) all.push_back({code, rank, 0});
  }
  for (int rank = 0; rank < 3; ++rank) all.push_back({65, rank, 1});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Codes, EachFailure, testing::ValuesIn(failures()), [](const auto& it) {
  return "code" + std::to_string(it.param.code) + "_rank" + std::to_string(it.param.rank) +
         (it.param.ranks_per_host > 0 ? "_hosts" : "");
});

TEST_F(Watch, AllFailingAlikeIsOneLineAndLeavesInOrder) {
  for (const int ranks_per_host : {0, 1}) {
    const Result result = run_job(3, kLong, {"*", "fail:64"}, {ranks_per_host});
    EXPECT_EQ(result.exit_code, 64) << result.err;
    expect_line(result, "here: the fault of code 64; mend it");
  }
}

// A lost peer on rank 0 at once, its cause on rank 2 a moment later. A machine that stands still
// between the two for longer than a lost peer waits for its cause has shown nothing: once more.
TEST_F(Watch, ACauseBeatsTheLostPeerThatWasNoticedBefore) {
  constexpr int kTries = 10;
  for (const int ranks_per_host : {0, 1}) {
    Result result;
    for (int i = 0; i < kTries && result.exit_code != 65; ++i) {
      fs::remove(folder_ / "first-fails");
      result = run_job(3, kLong, {"0", "fail:76", "2", "fail:65:50"}, {ranks_per_host});
    }
    EXPECT_EQ(result.exit_code, 65) << result.err;
    expect_line(result, "rank 2 here: the fault of code 65");
  }
}

// The failing rank never comes to its end: its cause is known all the same.
TEST_F(Watch, ACauseIsPublishedBeforeAnythingUnwinds) {
  for (const char* rank : {"0", "1"}) {
    const Result result = run_job(2, kLong, {rank, "hide"});
    EXPECT_EQ(result.exit_code, 65) << result.err;
    expect_line(result, "rank " + std::string(rank) + " here: the hidden cause; mend it");
    EXPECT_LT(result.seconds, 30);
  }
}

// ---- who is stuck, stopped or dead ------------------------------------------------------------

struct Lost {
  std::string fault;
  std::string rank;
  std::string says;
  int ranks_per_host = 0;
};

class EachLoss : public Watch, public testing::WithParamInterface<Lost> {};

TEST_P(EachLoss, IsNamedInTime) {
  const Lost& lost = GetParam();
  const Result result = run_job(3, kLimit, {lost.rank, lost.fault}, {lost.ranks_per_host});
  EXPECT_EQ(result.exit_code, kPeerLost) << result.err;
  const bool no_rank_0 = lost.fault.starts_with("stop") && lost.rank == "0";
  const int most = no_rank_0 && lost.ranks_per_host == 1 ? 2 : 1;
  expect_line(result, "lost peer: rank " + lost.rank + " on ", most);
  expect_line(result, lost.says, most);
  expect_line(result, "; start again from the last checkpoint", most);
  const double until = lost.fault == "deep" ? 3 * kLimit : 0;  // there is progress
  EXPECT_LT(result.seconds, until + kLimit + 5 + kStarting);
  if (lost.fault == "early") return;    // before a folder was known
  if (lost.ranks_per_host > 0) return;  // nobody else is on its host to write what it cannot
  const std::string mine = record(std::stoi(lost.rank));
  EXPECT_NE(mine.find("\"rank\":" + lost.rank), std::string::npos) << mine;
  EXPECT_NE(mine.find("\"phase\":\"backward\",\"collective\":0"), std::string::npos) << mine;
}

std::vector<Lost> losses() {
  std::vector<Lost> all = {{"early", "1", "is stuck in phase start for 3."},
                           {"early", "0", "is stuck in phase start for 3."},
                           {"deep", "1", "is stuck in phase save for 3.", 0}};
  for (const char* phase :
       {"open", "data", "forward", "backward", "optimizer", "validation", "save", "log"}) {
    const std::string rank = all.size() % 2 == 0 ? "0" : "2";
    const std::string where = std::string(" in phase ") + phase + " for 3.";
    all.push_back({"stop:" + std::string(phase), rank, "is stopped" + where});
    if (all.size() % 3 == 0)
      all.push_back({"stuck:" + std::string(phase), rank, "is stuck" + where});
  }
  for (const char* rank : {"0", "1", "2"}) {
    all.push_back({"stuck:data", rank, "is stuck in phase data for 3.", 1});
    all.push_back({"stop:forward", rank, " is s", 1});  // stopped, or silent
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Faults, EachLoss, testing::ValuesIn(losses()), [](const auto& it) {
  std::string name = it.param.fault + "_rank" + it.param.rank;
  std::ranges::replace(name, ':', '_');
  return name + (it.param.ranks_per_host > 0 ? "_hosts" : "");
});

// mpirun ends the others within a second; its exit code is the signal's.
TEST_F(Watch, AKilledRankIsNamedByASurvivor) {
  for (const char* rank : {"0", "1", "2"}) {
    const Result result = run_job(3, kLong, {rank, "kill"});
    EXPECT_NE(result.exit_code, 0);
    expect_line(result, "lost peer: rank " + std::string(rank) + " on ");
    expect_line(result, " died in phase data, step 1");
    EXPECT_NE(record(std::stoi(rank)).find("\"dead\":true"), std::string::npos);
    EXPECT_LT(result.seconds, 30);
  }
}

TEST_F(Watch, ASlowRankIsNoFailure) {
  const Result result = run_job(3, kLimit, {"1", "slow"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
}

TEST_F(Watch, AProcessWithoutMpirunHasAWatchdogToo) {
  const Result stuck = run({RESNEXT_WATCH_PROGRAM, "1", "0", "stuck:data"}, 60, environment());
  EXPECT_EQ(stuck.exit_code, kPeerLost) << stuck.err;
  expect_line(stuck, "is stuck in phase data for 1.");
  const Result failed = run({RESNEXT_WATCH_PROGRAM, "100", "0", "fail:73"}, 60, environment());
  EXPECT_EQ(failed.exit_code, 73) << failed.err;
  expect_line(failed, "the fault of code 73");
}

// Without anybody to tell it.
TEST_F(Watch, NoRankOutlivesItsLauncher) {
  Process process(job(3, kLong, {"*", "stuck:data"}), environment());
  ASSERT_TRUE(wait_until([&] { return process.members(RESNEXT_WATCH_PROGRAM).size() == 3; }, 60));
  ::kill(process.pid(), SIGKILL);
  EXPECT_TRUE(wait_until([&] { return process.members(RESNEXT_WATCH_PROGRAM).empty(); }, 30));
}

}  // namespace
}  // namespace resnext::test
