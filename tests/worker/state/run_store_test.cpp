// The saves of a run through starts, ways back, damage and whoever touches the folder meanwhile.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/run_store.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"
#include "tests/worker/state/support.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

class RunStoreTest : public testing::Test {
 protected:
  std::string path(int64_t step) const { return checkpoints_ / fmt::format("step-{:08}", step); }
  static std::string name(int64_t step) { return fmt::format("step-{:08}", step); }
  void damage(int64_t step) const { fs::resize_file(path(step) + "/model.pt", 3); }
  std::string link(const char* name) const { return posix_files().read_link(checkpoints_ / name); }
  // What a start with auto would take now; it changes nothing.
  int64_t next() const {
    const auto state = RunStore(posix_files(), run_, 3).find("auto", false);
    return state ? state->manifest.progress.step : 0;
  }
  // Saves of steps as a run of so many starts makes them.
  void run_to(const std::vector<int64_t>& steps, int64_t keep = 99) const {
    Start start(run_, keep);
    for (const int64_t step : steps) start.save(step);
  }

  TemporaryFolder root_;
  fs::path run_ = root_.path() / "run";
  fs::path checkpoints_ = run_ / "checkpoints";
};

TEST_F(RunStoreTest, FindingChangesNothing) {
  EXPECT_FALSE(RunStore(posix_files(), run_, 3).find("auto", false));
  EXPECT_FALSE(RunStore(posix_files(), run_, 3).find("none", false));
  EXPECT_FALSE(fs::exists(run_));
}

TEST_F(RunStoreTest, GoesOnFromTheNewestSerialNotTheHighestStep) {
  run_to({310});
  run_to({37, 40});  // counted anew, as an older program did
  EXPECT_EQ(next(), 40);
  EXPECT_EQ(link("latest"), name(40));
  Start third(run_, 3);
  EXPECT_EQ(third.step(), 40);
  EXPECT_EQ(third.store.serial(), 3);
  third.save(44);
  EXPECT_EQ(third.store.serial(), 4);
  EXPECT_EQ(third.store.saves().newest, path(44));
}

TEST_F(RunStoreTest, WhatWasJustWrittenIsNeverPruned) {
  run_to({310, 320, 330}, 3);
  for (int64_t step = 1; step <= 6; ++step) {
    Start start(run_, 3);
    start.save(step);
    EXPECT_TRUE(fs::exists(path(step))) << step;
    EXPECT_EQ(next(), step);
  }
  EXPECT_EQ(names_in(checkpoints_), (Words{"latest", name(4), name(5), name(6)}));
}

TEST_F(RunStoreTest, KeepsTheNewestAndTheBest) {
  Start start(run_, 2);
  EXPECT_TRUE(start.validate(1, 50));
  EXPECT_TRUE(start.validate(2, 60));
  for (int64_t step = 3; step <= 6; ++step) EXPECT_FALSE(start.validate(step, 40));
  EXPECT_EQ(names_in(checkpoints_), (Words{"best", "latest", name(2), name(5), name(6)}));
  EXPECT_EQ(link("best"), name(2));
  EXPECT_EQ(start.store.best_top1(), 60);
  EXPECT_FALSE(start.validate(7, 60));  // of equals the first
  EXPECT_EQ(link("best"), name(2));
}

// The best is what was found best, not what lies where it lay.
TEST_F(RunStoreTest, BestIsKnownByIdentity) {
  {
    Start first(run_, 9);
    first.validate(20, 100);
    first.save(40);
  }
  Start second(run_, 9);
  EXPECT_EQ(second.store.best_top1(), 100);
  EXPECT_FALSE(second.validate(50, 25));
  second.save(20, " again");  // the same name by a renumbered run
  EXPECT_FALSE(second.store.validated({1, 25, 50, 20}));
  Start third(run_, 9);
  EXPECT_NE(third.best(), name(20));
  EXPECT_EQ(third.store.best_top1(), 25);  // the other was set aside, not lost
  EXPECT_TRUE(fs::exists(checkpoints_ / "aside-000001-step-00000020"));
}

TEST_F(RunStoreTest, BestSurvivesWhateverIsDoneToTheLink) {
  {
    Start start(run_, 9);
    start.validate(1, 90);
    start.validate(2, 30);
  }
  const auto spoil = [&](int way) {
    if (way == 0) fs::rename(checkpoints_ / "best", checkpoints_ / "best-of-mine");
    if (way == 1) fs::remove(checkpoints_ / "best");
    if (way == 2) CheckpointFolder(posix_files(), checkpoints_).point("best", name(2));
    if (way == 3) CheckpointFolder(posix_files(), checkpoints_).point("best", "nowhere");
  };
  for (int way = 0; way < 4; ++way) {
    spoil(way);
    Start again(run_, 9);
    EXPECT_EQ(again.best(), name(1)) << way;
    EXPECT_EQ(again.store.best_top1(), 90) << way;
    EXPECT_EQ(link("best"), name(1)) << way;
  }
}

TEST_F(RunStoreTest, ADamagedBestGivesWayToTheNextBest) {
  {
    Start start(run_, 9);
    start.validate(1, 90);
    start.validate(2, 70);
    start.validate(3, 50);
  }
  damage(1);
  Start again(run_, 9);
  EXPECT_EQ(again.best(), name(2));
  EXPECT_EQ(link("best"), name(2));
}

// Hits are hits, but a network whose loss is not a number is nobody's best, not at the next start.
TEST_F(RunStoreTest, ALossThatIsNotFiniteIsNeverTheBest) {
  {
    Start start(run_, 9);
    start.save(1);
    EXPECT_FALSE(start.store.validated({NAN, 99, 100, 20}));
    EXPECT_TRUE(start.validate(2, 30));
  }
  EXPECT_EQ(Start(run_, 9).best(), name(2));
}

TEST_F(RunStoreTest, AValidationWithoutASaveHereIsNobodysBest) {
  Start start(run_, 3);
  EXPECT_FALSE(start.store.validated({1, 50, 100, 20}));
  EXPECT_EQ(start.store.best_top1(), -1);
}

// ---- going back -----------------------------------------------------------------------------

TEST_F(RunStoreTest, GoingBackSetsWhatIsNewerAside) {
  run_to({40, 60, 80, 100});
  {
    Start back(run_, 2, path(60));
    EXPECT_EQ(back.step(), 60);
    EXPECT_TRUE(back.store.left_a_line());
    EXPECT_EQ(names_in(checkpoints_),
              (Words{"aside-000003-step-00000080", "aside-000004-step-00000100", "latest", name(40),
                     name(60)}));
    back.save(65);
    back.save(70);
    EXPECT_TRUE(fs::exists(path(70)));
  }
  Start again(run_, 2);
  EXPECT_EQ(again.step(), 70);
  EXPECT_FALSE(again.store.left_a_line());
  EXPECT_EQ(CheckpointFolder(posix_files(), checkpoints_)
                .read(checkpoints_ / "aside-000004-step-00000100")
                .files.at("model.pt"),
            "weights of step 100");
}

// The path of the newest is no way back.
TEST_F(RunStoreTest, NamingTheNewestGoesOnInItsLine) {
  run_to({40, 60});
  for (const std::string& resume : {path(60), path(60) + "/", (checkpoints_ / "latest").string()}) {
    Start same(run_, 9, resume);
    EXPECT_EQ(same.step(), 60);
    EXPECT_FALSE(same.store.left_a_line());
  }
  EXPECT_EQ(names_in(checkpoints_), (Words{"latest", name(40), name(60)}));
}

// A best that was abandoned is not the best of what goes on.
TEST_F(RunStoreTest, TheBestIsOfThePresentLine) {
  {
    Start start(run_, 9);
    start.validate(1, 50);
    start.validate(2, 40);
    start.validate(3, 99);
  }
  {
    Start back(run_, 9, path(2));
    EXPECT_EQ(back.best(), name(1));
    EXPECT_EQ(back.store.best_top1(), 50);
    EXPECT_TRUE(back.validate(3, 60));
  }
  EXPECT_EQ(Start(run_, 9).best(), name(3));
}

// The record of the line is written before anything is moved: who dies there has gone back.
TEST_F(RunStoreTest, GoingBackHoldsFromItsFirstMomentOn) {
  run_to({40, 60, 80, 100});
  const std::string before = read_text(checkpoints_ / "lineage.json");
  { const Start back(run_, 9, path(60)); }
  const std::string record = read_text(checkpoints_ / "lineage.json");
  EXPECT_NE(record, before);
  // As a death behind the record leaves it: nothing is set aside yet.
  const auto undo = [&] {
    fs::rename(checkpoints_ / "aside-000003-step-00000080", path(80));
    fs::rename(checkpoints_ / "aside-000004-step-00000100", path(100));
  };
  undo();
  EXPECT_EQ(next(), 60);
  { const Start again(run_, 9); }  // dies there, too, before it has saved
  undo();
  EXPECT_EQ(next(), 60);
  Start third(run_, 9);
  third.save(61);
  EXPECT_EQ(next(), 61);
}

// The same command started again by a launcher or Slurm means what has been reached since.
TEST_F(RunStoreTest, ARestartWithTheSamePathGoesOn) {
  run_to({40, 60, 80});
  {
    Start back(run_, 9, path(60), /*again=*/false);
    back.save(70);
  }
  EXPECT_EQ(Start(run_, 9, path(60), /*again=*/true).step(), 70);
  EXPECT_EQ(Start(run_, 9, path(40), /*again=*/true).step(), 40);   // another path
  EXPECT_EQ(Start(run_, 9, path(40), /*again=*/false).step(), 40);  // by hand: back once more
}

TEST_F(RunStoreTest, ARestartWithThePathOfWhatWasTheNewestGoesOn) {
  run_to({40, 60});
  {
    Start here(run_, 9, path(60), /*again=*/false);
    here.save(70);
  }
  EXPECT_EQ(Start(run_, 9, path(60), /*again=*/true).step(), 70);
  EXPECT_EQ(Start(run_, 9, path(60), /*again=*/false).step(), 60);  // by hand: back
}

TEST_F(RunStoreTest, AWayBackOfLongAgoIsNotTakenForThisOne) {
  run_to({40, 60});
  {
    Start back(run_, 9, path(40), /*again=*/false);
    back.save(50);
  }
  { const Start next_day(run_, 9); }
  // Another way back died before it stood; this is its restart.
  EXPECT_EQ(Start(run_, 9, path(40), /*again=*/true).step(), 40);
}

// Also before the new line has a save of its own.
TEST_F(RunStoreTest, KnowsThePresentLineFromItsFirstMomentOn) {
  run_to({40, 60});
  int64_t line = 0;
  {
    const Start back(run_, 9, path(40));
    line = back.store.identity().lineage.line();
  }
  RunStore store(posix_files(), run_, 9);
  const auto from = store.find("auto", false);
  ASSERT_EQ(from->manifest.progress.step, 40);
  EXPECT_NE(from->manifest.lineage.line(), line);
  EXPECT_EQ(store.present(from).lineage.line(), line);
}

TEST_F(RunStoreTest, ARestartFromAnotherRunsPathGoesOn) {
  const fs::path other = root_.path() / "other";
  {
    Start start(other, 9);
    start.save(30);
  }
  const std::string resume = other / "checkpoints/step-00000030";
  {
    Start fine_tuning(run_, 9, resume);
    EXPECT_EQ(fine_tuning.step(), 30);
    EXPECT_EQ(names_in(checkpoints_), Words{});
    EXPECT_EQ(Start(run_, 9, resume, /*again=*/true).step(), 30);
    fine_tuning.save(31);
  }
  EXPECT_EQ(Start(run_, 9, resume, /*again=*/true).step(), 31);
  EXPECT_EQ(next(), 31);
  EXPECT_EQ(names_in(other / "checkpoints"), (Words{"latest", name(30)}));
}

// Serials of another run say nothing about the saves here.
TEST_F(RunStoreTest, AnotherRunsPathLeavesWhatIsHere) {
  run_to({10, 20});
  const fs::path other = root_.path() / "other";
  {
    Start start(other, 9);
    for (int64_t step : {31, 32, 33, 34}) start.save(step);
  }
  { const Start start(run_, 9, other / "checkpoints/step-00000034"); }
  fs::rename(checkpoints_ / "aside-000002-step-00000020", path(20));  // dies before it is moved
  EXPECT_EQ(next(), 34);  // not 20, and not from the begin
  Start again(run_, 9);
  again.save(35);
  EXPECT_EQ(next(), 35);
}

// ---- damage ---------------------------------------------------------------------------------

TEST_F(RunStoreTest, PassesOverDamagedOnesWhichAreSetAside) {
  run_to({1, 2, 3, 4, 5});
  damage(5);
  write_text(path(4) + "/manifest.json", "{\"format_version\": 1, \"prog");
  fs::remove(path(3) + "/optimizer.pt");
  EXPECT_EQ(next(), 2);
  Start start(run_, 9);
  EXPECT_EQ(start.step(), 2);
  EXPECT_EQ(names_in(checkpoints_),
            (Words{"aside-000000-step-00000004", "aside-000003-step-00000003",
                   "aside-000005-step-00000005", "latest", name(1), name(2)}));
  start.save(3);
  EXPECT_EQ(start.store.serial(), 6);  // no serial comes twice
}

TEST_F(RunStoreTest, NamesEachDamagedOneInAWarning) {
  run_to({1, 2, 3});
  damage(2);
  write_text(path(3) + "/manifest.json", "{");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  EXPECT_EQ(next(), 1);
  const std::string log =
      testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
  for (const int64_t step : {2, 3}) {
    EXPECT_NE(log.find("passing over a damaged checkpoint: " + path(step)), std::string::npos)
        << log;
  }
}

TEST_F(RunStoreTest, DamagedOnesDoNotUseUpWhatIsKept) {
  Start start(run_, 2);
  start.save(1);
  start.save(2);
  damage(2);
  start.save(3);
  EXPECT_TRUE(fs::exists(path(1)));  // with 3 the newest two that are whole
  start.save(4);
  EXPECT_FALSE(fs::exists(path(1)));
}

TEST_F(RunStoreTest, WhenNoneCanBeReadNothingIsChanged) {
  run_to({1, 2, 3});
  for (const int64_t step : {1, 2, 3}) damage(step);
  const Words before = names_in(checkpoints_);
  try {
    RunStore(posix_files(), run_, 3).find("auto", false);
    FAIL() << "began anew";
  } catch (const CheckpointError& error) {
    EXPECT_NE(std::string(error.what()).find("all of them are damaged"), std::string::npos);
  }
  EXPECT_THROW(RunStore(posix_files(), run_, 3).find("none", false), ConfigError);
  EXPECT_EQ(names_in(checkpoints_), before);
}

TEST_F(RunStoreTest, ADamagedRecordIsMadeAgain) {
  run_to({40, 60, 80});
  {
    Start back(run_, 9, path(60));
    back.save(65);
  }
  flip_bit(checkpoints_ / "lineage.json", 100);
  Start start(run_, 9);
  EXPECT_EQ(start.step(), 65);
  start.save(70);
  EXPECT_EQ(next(), 70);
  EXPECT_GT(start.store.serial(), 5);
}

TEST_F(RunStoreTest, NoneRefusesToMixTwoRuns) {
  run_to({1});
  EXPECT_THROW(RunStore(posix_files(), run_, 3).find("none", false), ConfigError);
}

}  // namespace
}  // namespace resnext::test
