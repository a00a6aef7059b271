// The board between real processes: who lives, who is dead, and that no memory is left behind.
// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/board.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "comm/watch/failures.h"
#include "comm/watch/flight_record.h"
#include "comm/watch/views.h"
#include "tests/support/process.h"

namespace resnext::watch {
namespace {

namespace fs = std::filesystem;

// A key that no other test and no run before has had.
Job job_of(int local_rank, const std::string& name = "") {
  Job job;
  job.key = "test/" + std::to_string(::getpid()) + name;
  job.host = "node";
  job.rank = job.local_rank = local_rank;
  job.size = job.local_size = 3;
  return job;
}

// Another process that does `work` and then lives until it is killed.
class Other {
 public:
  explicit Other(const std::function<void()>& work) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      work();
      [[maybe_unused]] const auto told = ::write(ends[1], "x", 1);
      while (true) ::pause();
    }
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  ~Other() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

TEST(Board, RanksOfAHostSeeEachOther) {
  const Job mine = job_of(0), theirs = job_of(1);
  const Other other([&] { (new Board(theirs))->mine().step = 7; });
  Board board(mine);
  ASSERT_TRUE(board.shared());
  EXPECT_EQ(board.end(), 2);
  EXPECT_EQ(board.slot(1).rank, 1);
  EXPECT_EQ(board.slot(1).step, 7);
  EXPECT_EQ(board.slot(1).pid, other.pid());
}

TEST(Board, KnowsWhoIsDeadAtOnceAndOnce) {
  const Job mine = job_of(0), theirs = job_of(1);
  Other other([&] { new Board(theirs); });
  Board board(mine);
  mark_dead(board);
  EXPECT_TRUE(board.lives(1));
  EXPECT_FALSE(board.slot(1).dead);
  other.kill();
  mark_dead(board);
  EXPECT_FALSE(board.lives(1));
  EXPECT_TRUE(board.slot(1).dead);
}

TEST(Board, WhoHasEndedInOrderIsNotDead) {
  const Job mine = job_of(0), theirs = job_of(1);
  Other other([&] { Board(theirs).mine().step = 7; });
  Board board(mine);
  other.kill();
  mark_dead(board);
  EXPECT_FALSE(board.slot(1).dead);
}

TEST(Board, AJobThatWasKilledLeavesNothingToTheNextOfTheSameKey) {
  const Job mine = job_of(0), theirs = job_of(2);
  Other other([&] { (new Board(theirs))->notice().first = 5; });
  other.kill();
  Board board(mine);
  EXPECT_TRUE(board.shared());
  EXPECT_EQ(board.notice().first, 0u);
  EXPECT_FALSE(board.slot(2).used);
}

TEST(Board, FilesOfKilledJobsAreRemovedByTheNextJobOfAnyKey) {
  const Job theirs = job_of(0, "-killed");
  const std::string path = Board(theirs).path();
  Other other([&] { new Board(theirs); });
  EXPECT_TRUE(fs::exists(path));
  { const Board board(job_of(0)); }
  EXPECT_TRUE(fs::exists(path)) << "a job that lives has lost its board";
  other.kill();
  { const Board board(job_of(0)); }
  EXPECT_FALSE(fs::exists(path));
}

TEST(Board, ClosedBoardsHaveNoFileAndGoOn) {
  const Job mine = job_of(0), theirs = job_of(1);
  Other other([&] { new Board(theirs); });
  Board board(mine);
  EXPECT_TRUE(fs::exists(board.path()));
  board.close();
  EXPECT_FALSE(fs::exists(board.path()));
  EXPECT_TRUE(board.lives(1));
  other.kill();
  EXPECT_FALSE(board.lives(1));
}

TEST(Board, ASecondProcessOfTheSameRankHasABoardOfItsOwn) {
  const Job mine = job_of(1);
  const Other other([&] { (new Board(mine))->notice().first = 5; });
  Board board(mine);
  EXPECT_FALSE(board.shared());
  EXPECT_EQ(board.notice().first, 0u);
  EXPECT_EQ(board.mine().rank, 1);
}

TEST(Board, WithoutAJobThereIsNoFile) {
  const Board board(Job{});
  EXPECT_FALSE(board.shared());
  EXPECT_EQ(board.path(), "");
}

// ---- the first cause --------------------------------------------------------------------------

TEST(Failures, TheFirstClaimCounts) {
  const Job mine = job_of(0), theirs = job_of(1);
  const Other other([&] {
    auto* board = new Board(theirs);
    Failures(*board).claim(Source::kProgram, 65, "the data are gone");
  });
  Board board(mine);
  Failures failures(board);
  ASSERT_TRUE(failures.any());
  failures.claim(Source::kProgram, 73, "no space");
  failures.settle();
  const auto cause = failures.settled();
  ASSERT_TRUE(cause);
  EXPECT_EQ(cause->code, 65);
  EXPECT_EQ(cause->rank, 1);
  EXPECT_EQ(cause->text, "the data are gone");
}

TEST(Failures, ALongTextKeepsItsBeginAndItsRemedy) {
  for (const size_t length : {480, 481, 482, 483, 484, 485, 486, 487, 488, 600, 100'000}) {
    Board board(job_of(0));
    Failures failures(board);
    const std::string text = "weights.pt: " + std::string(length, 'x') + "; mend";
    failures.claim(Source::kProgram, 64, text);
    failures.settle();
    const std::string told = failures.settled()->text;
    EXPECT_LE(told.size(), 499U);
    EXPECT_TRUE(told.starts_with("weights.pt: ")) << told;
    EXPECT_TRUE(told.ends_with("x; mend")) << told;
    EXPECT_EQ(told == text, text.size() <= 499);
  }
}

TEST(Failures, ALostPeerGivesWayToItsCauseUntilItHasSettled) {
  for (const bool settled : {false, true}) {
    const Job mine = job_of(0), theirs = job_of(1);
    const Other other([&] {
      auto* board = new Board(theirs);
      Failures(*board).claim(Source::kProgram, 76, "a peer was lost");
      if (settled) Failures(*board).settle();
    });
    Board board(mine);
    Failures failures(board);
    EXPECT_FALSE(failures.first()->tells);
    failures.claim(Source::kProgram, 65, "the data are gone");
    failures.settle();
    EXPECT_EQ(failures.settled()->code, settled ? 76 : 65);
  }
}

TEST(Failures, AWatchdogsVerdictTellsMoreThanALostPeer) {
  Board board(job_of(0));
  Failures failures(board);
  failures.claim(Source::kProgram, 76, "MPI_Allreduce failed");
  failures.claim(Source::kWatchdog, 76, "rank 2 died");
  EXPECT_EQ(failures.first()->text, "rank 2 died");
}

TEST(Failures, ACauseOfAnotherHostTakesThePlace) {
  Board board(job_of(0));
  Failures failures(board);
  failures.settle(Cause{9, 65, "far away", true});
  ASSERT_TRUE(failures.any());
  failures.claim(Source::kProgram, 73, "no space");
  failures.settle();
  EXPECT_EQ(failures.settled()->code, 65);
  EXPECT_EQ(failures.settled()->rank, 9);
  EXPECT_EQ(failures.settled()->text, "far away");
}

TEST(FlightRecord, AFolderThatCannotBeWrittenIsNoMatter) {
  write_flight_record("/proc/none/flight", 0, "{}");
  write_flight_record("/dev/full", 0, "{}");
}

}  // namespace
}  // namespace resnext::watch
