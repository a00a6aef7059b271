// Files that fail, lie, take time and end with their process.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/simulated_files.h"

#include <gtest/gtest.h>

#include <exception>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/simulation/error_of.h"

namespace resnext::test {
namespace {

// A few calls of most kinds.
void write_some(FileSystem& files) {
  files.make_folders("/run/step-1");
  const auto file = files.create("/run/step-1/model");
  file->write("0123456789");
  file->sync();
  file->close();
  files.sync_folder("/run/step-1");
  files.replace("/run/latest", "step-1");
  files.remove_all("/run/step-1");
}

uint64_t calls_of_write_some() {
  SimulatedDisk disk;
  SimulatedFiles files(disk);
  write_some(files);
  return files.calls();
}

TEST(SimulatedFiles, CountEveryCall) {
  SimulatedDisk disk;
  SimulatedFiles files(disk);
  write_some(files);
  EXPECT_EQ(files.trace().substr(0, 62),
            "1 mkdir /run\n2 mkdir /run/step-1\n3 create /run/step-1/model\n4 ");
  EXPECT_EQ(files.calls(), 14U) << files.trace();
}

TEST(SimulatedFiles, FailAtAnyCallAndOnlyThere) {
  for (uint64_t call = 1; call <= calls_of_write_some(); ++call) {
    SimulatedDisk disk;
    SimulatedFiles files(disk);
    files.fail_at(call, ENOSPC);
    const int error = error_of([&] { write_some(files); });
    const std::string line = "\n" + std::to_string(call) + " close ";
    const bool closes = files.trace().find(line) != std::string::npos;
    EXPECT_EQ(error, closes ? 0 : ENOSPC) << files.trace();
    EXPECT_EQ(error_of([&] { write_some(files); }), 0) << call;
  }
}

TEST(SimulatedFiles, RecoverAfterAWhile) {
  SimulatedDisk disk;
  SimulatedFiles files(disk);
  files.fail_at(3, ESTALE, 2);
  std::vector<int> errors;
  for (int i = 0; i < 6; ++i) errors.push_back(error_of([&] { files.exists("/a"); }));
  EXPECT_EQ(errors, (std::vector<int>{0, 0, ESTALE, ESTALE, 0, 0}));
}

TEST(SimulatedFiles, AWriteThatFailsHasWrittenSome) {
  std::set<std::string> left;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedDisk disk;
    SimulatedFiles files(disk, seed);
    const auto file = files.create("/a");
    files.fail_at(2, EIO);
    EXPECT_THROW(file->write("123"), FileError);
    left.insert(disk.read("/a"));
  }
  EXPECT_EQ(left, (std::set<std::string>{"", "1", "12"}));
}

TEST(SimulatedFiles, EndAtTheCallTheyAreKilledIn) {
  for (uint64_t call = 1; call <= calls_of_write_some(); ++call) {
    SimulatedDisk disk;
    SimulatedFiles files(disk);
    files.kill_at(call);
    EXPECT_THROW(write_some(files), Killed);
    EXPECT_EQ(files.calls(), call) << files.trace();
    EXPECT_TRUE(files.killed());
    const auto left = disk.paths();
    EXPECT_THROW(write_some(files), Killed);
    EXPECT_THROW(files.remove_all("/run"), Killed);
    EXPECT_EQ(disk.paths(), left);
    files.revive();
    write_some(files);
    EXPECT_EQ(disk.read("/run/latest"), "step-1");
  }
}

TEST(SimulatedFiles, AKilledProcessKeepsWhatItWroteAndWritesNoMore) {
  SimulatedDisk disk;
  SimulatedFiles files(disk);
  const auto file = files.create("/a");
  file->write("1");
  files.kill();
  EXPECT_THROW(file->write("2"), Killed);
  EXPECT_THROW(file->sync(), Killed);
  EXPECT_EQ(disk.read("/a"), "1");
}

TEST(SimulatedFiles, OneProcessIsKilledNotAnother) {
  SimulatedDisk disk;
  SimulatedFiles one(disk), two(disk);
  one.kill();
  two.create("/a");
  EXPECT_THROW(one.exists("/a"), Killed);
}

struct Guard {
  FileSystem& files;
  ~Guard() {
    try {
      files.remove_all("/lock");
    } catch (const FileError&) {
    }
  }
};

TEST(SimulatedFiles, DestructorsOfAKilledProcessMeetOrdinaryErrors) {
  SimulatedDisk disk;
  SimulatedFiles files(disk);
  files.create("/lock");
  files.kill_at(2);
  EXPECT_THROW(
      {
        const Guard guard{files};
        files.create("/a");
      },
      Killed);
  EXPECT_TRUE(disk.exists("/lock"));
}

TEST(SimulatedFiles, NoHandlerOfErrorsTakesAKillForOne) {
  EXPECT_FALSE((std::is_base_of_v<std::exception, Killed>));
}

TEST(SimulatedFiles, ASyncThatLiesMakesNothingSafe) {
  bool lost = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedDisk disk(seed);
    SimulatedFiles files(disk, seed);
    files.set_faults({.lies = 1});
    write_some(files);
    disk.lose_power();
    lost = lost || !disk.exists("/run/latest");
  }
  EXPECT_TRUE(lost);
}

// As on Linux: the pages whose write-back failed count as clean afterwards.
TEST(SimulatedFiles, ASyncAfterAFailedOneSavesNothing) {
  std::set<std::string> left;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedDisk disk(seed);
    SimulatedFiles files(disk, seed);
    const auto file = files.create("/a");
    disk.sync_folder("/");
    file->write("1");
    files.fail_at(3, EIO);
    EXPECT_THROW(file->sync(), FileError);
    file->sync();
    disk.lose_power();
    left.insert(disk.read("/a"));
  }
  EXPECT_TRUE(left.contains(""));
}

TEST(SimulatedFiles, RatesAreKept) {
  SimulatedDisk disk;
  SimulatedFiles files(disk, 7);
  files.set_faults({.fails = 0.1, .error = EIO, .waits = 0.5, .wait_s = 2});
  int failed = 0;
  for (int i = 0; i < 10'000; ++i) failed += error_of([&] { files.exists("/a"); }) == EIO;
  EXPECT_NEAR(failed, 1000, 150);        // 5 standard deviations
  EXPECT_NEAR(disk.now_s(), 5000, 400);  // 5000 waits of a mean of 1 s
}

TEST(SimulatedFiles, OnlyWhatStoresNeedsSpace) {
  SimulatedDisk disk;
  SimulatedFiles files(disk);
  files.create("/a");
  files.set_faults({.fails = 1, .error = ENOSPC});
  EXPECT_EQ(files.read("/a"), "");
  EXPECT_TRUE(files.exists("/a"));
  EXPECT_EQ(error_of([&] { files.create("/b"); }), ENOSPC);
}

// Faults of one path do not depend on what happens at others meanwhile.
TEST(SimulatedFiles, FaultsRepeatWhateverOtherThreadsDo) {
  const auto errors_of_a = [](bool others) {
    SimulatedDisk disk;
    SimulatedFiles files(disk, 3);
    files.set_faults({.fails = 0.5});
    std::vector<int> errors;
    const auto ask = [&](const char* path, std::vector<int>& into) {
      for (int i = 0; i < 200; ++i) into.push_back(error_of([&] { files.exists(path); }));
    };
    std::vector<int> ignored;
    std::thread other([&] {
      if (others) ask("/b", ignored);
    });
    ask("/a", errors);
    other.join();
    return errors;
  };
  EXPECT_EQ(errors_of_a(false), errors_of_a(true));
}

}  // namespace
}  // namespace resnext::test
