// What a power loss may leave, and what it must.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/simulated_disk.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

namespace resnext::test {
namespace {

constexpr uint64_t kSeeds = 2000;

void put(FileSystem& files, const std::string& path, std::string_view text, bool sync) {
  const auto file = files.create(path);
  file->write(text);
  if (sync) file->sync();
}

// What is left of `path`, over all seeds; "-": no such file.
std::set<std::string> left_of(const std::string& path,
                              const std::function<void(SimulatedDisk&)>& history) {
  std::set<std::string> all;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedDisk disk(seed);
    history(disk);
    disk.lose_power();
    all.insert(disk.exists(path) ? disk.read(path) : "-");
  }
  return all;
}

using Texts = std::set<std::string>;

TEST(SimulatedDisk, SyncedBytesUnderASyncedNameAreSafe) {
  EXPECT_EQ(left_of("/a/b",
                    [](SimulatedDisk& disk) {
                      disk.make_folders("/a");
                      put(disk, "/a/b", "text", true);
                      disk.sync_folder("/a");
                      disk.sync_folder("/");
                    }),
            Texts{"text"});
}

TEST(SimulatedDisk, ANameIsSafeOnlyWithItsFolders) {
  const auto written = [](const std::string& synced) {
    return left_of("/a/b", [=](SimulatedDisk& disk) {
      disk.make_folders("/a");
      put(disk, "/a/b", "text", true);
      if (!synced.empty()) disk.sync_folder(synced);
    });
  };
  EXPECT_EQ(written(""), (Texts{"-", "text"}));
  EXPECT_EQ(written("/a"), (Texts{"-", "text"}));
  EXPECT_EQ(written("/"), (Texts{"-", "text"}));
}

TEST(SimulatedDisk, UnsyncedBytesAreLostTornOrKept) {
  const Texts left = left_of("/a", [](SimulatedDisk& disk) {
    const auto file = disk.create("/a");
    file->write("12");
    file->sync();
    disk.sync_folder("/");
    file->write("345");
  });
  using namespace std::string_literals;
  EXPECT_EQ(left, (Texts{"12", "123", "1234", "12345", "12\0\0\0"s, "123\0\0"s, "1234\0"s}));
}

TEST(SimulatedDisk, ZerosStandAmongBytesThatWereKept) {
  const std::string text(4096, 'x');
  const Texts left = left_of("/a", [&](SimulatedDisk& disk) {
    put(disk, "/a", text, false);
    disk.sync_folder("/");
  });
  const bool has_hole = std::any_of(left.begin(), left.end(), [](const std::string& it) {
    const size_t hole = it.find('\0');
    return hole != std::string::npos && it.find('x', hole) != std::string::npos;
  });
  EXPECT_TRUE(has_hole);
}

TEST(SimulatedDisk, AnEmptiedFileMayHaveItsOldContentOrNone) {
  const Texts left = left_of("/a", [](SimulatedDisk& disk) {
    put(disk, "/a", "old", true);
    disk.sync_folder("/");
    put(disk, "/a", "new", false);
  });
  for (const char* text : {"old", "", "new", "n"}) EXPECT_TRUE(left.contains(text)) << text;
}

TEST(SimulatedDisk, ARenameIsWholeOrNotAtAll) {
  const auto renamed = [](bool synced) {
    return left_of("/a", [=](SimulatedDisk& disk) {
      put(disk, "/a", "old", true);
      put(disk, "/b", "new", true);
      disk.sync_folder("/");
      disk.rename("/b", "/a");
      if (synced) disk.sync_folder("/");
    });
  };
  EXPECT_EQ(renamed(false), (Texts{"old", "new"}));
  EXPECT_EQ(renamed(true), Texts{"new"});
}

TEST(SimulatedDisk, ARenameBetweenFoldersIsWholeTooAndTakesWhatCameBefore) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedDisk disk(seed);
    disk.make_folders("/a");
    disk.make_folders("/b");
    disk.sync_folder("/");
    put(disk, "/a/x", "1", true);
    disk.rename("/a/x", "/b/x");
    disk.sync_folder("/b");
    disk.rename("/b/x", "/a/y");
    disk.lose_power();
    ASSERT_NE(disk.exists("/b/x"), disk.exists("/a/y")) << seed;
    ASSERT_FALSE(disk.exists("/a/x")) << seed;
  }
}

TEST(SimulatedDisk, NamesOfAFolderAreKeptInOrder) {
  std::set<size_t> counts;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedDisk disk(seed);
    for (const char* name : {"0", "1", "2", "3"}) disk.make_link("target", name);
    disk.lose_power();
    const std::vector<std::string> names = disk.list("/");
    counts.insert(names.size());
    for (size_t i = 0; i < names.size(); ++i) ASSERT_EQ(names[i], std::to_string(i));
  }
  EXPECT_EQ(counts, (std::set<size_t>{0, 1, 2, 3, 4}));
}

TEST(SimulatedDisk, RemovedNamesMayComeBack) {
  const auto removed = [](bool synced) {
    return left_of("/a", [=](SimulatedDisk& disk) {
      put(disk, "/a", "text", true);
      disk.sync_folder("/");
      disk.remove_all("/a");
      if (synced) disk.sync_folder("/");
    });
  };
  EXPECT_EQ(removed(false), (Texts{"-", "text"}));
  EXPECT_EQ(removed(true), Texts{"-"});
}

TEST(SimulatedDisk, ASeedRepeats) {
  const auto left = [](uint64_t seed) {
    SimulatedDisk disk(seed);
    disk.make_folders("/a/b");
    for (int i = 0; i < 20; ++i) put(disk, "/a/b/" + std::to_string(i), "some text", i % 2 == 0);
    disk.lose_power();
    return disk.snapshot();
  };
  for (uint64_t seed = 0; seed < 50; ++seed) ASSERT_EQ(left(seed), left(seed));
}

TEST(SimulatedDisk, FillsUpAndHasRoomAgain) {
  SimulatedDisk disk;
  disk.limit(10);
  put(disk, "/a", "123456", false);
  try {
    put(disk, "/b", "123456", false);
    ADD_FAILURE() << "there was room";
  } catch (const FileError& error) {
    EXPECT_EQ(error.code().value(), ENOSPC);
  }
  EXPECT_EQ(disk.read("/b"), "1234");
  EXPECT_EQ(disk.used(), 10U);
  EXPECT_THROW(disk.create("/c"), FileError);
  EXPECT_THROW(disk.make_folders("/c"), FileError);
  disk.rename("/a", "/b");
  EXPECT_EQ(disk.used(), 6U);
  put(disk, "/c", "1234", false);
  disk.remove_all("/b");
  EXPECT_EQ(disk.used(), 4U);
}

// Removed bytes count again when a power loss brings them back.
TEST(SimulatedDisk, CountsWhatIsThereAfterAPowerLoss) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedDisk disk(seed);
    put(disk, "/a", "1234", true);
    disk.sync_folder("/");
    disk.remove_all("/a");
    put(disk, "/b", "12", false);
    disk.lose_power();
    uint64_t bytes = 0;
    for (const auto& [path, text] : disk.snapshot()) bytes += text.size();
    ASSERT_EQ(disk.used(), bytes);
  }
}

TEST(SimulatedDisk, HasAClockOfItsOwn) {
  SimulatedDisk disk;
  disk.advance(100);
  put(disk, "/a", "", false);
  disk.advance(2.5);
  EXPECT_EQ(disk.age_s("/a"), 2.5);
  EXPECT_EQ(disk.now_s(), 102.5);
  disk.touch("/a");
  EXPECT_EQ(disk.age_s("/a"), 0);
  EXPECT_EQ(disk.age_s("/b"), -1);
}

TEST(SimulatedDisk, IsDamagedWithoutATrace) {
  SimulatedDisk disk;
  put(disk, "/a", "abc", true);
  disk.advance(5);
  disk.flip_bit("/a", 9);
  EXPECT_EQ(disk.read("/a"), "a`c");
  disk.truncate("/a", 1);
  EXPECT_EQ(disk.read("/a"), "a");
  EXPECT_EQ(disk.used(), 1U);
  EXPECT_EQ(disk.age_s("/a"), 5);
}

TEST(SimulatedDisk, ShowsWhatItHolds) {
  SimulatedDisk disk;
  disk.make_folders("/a/b");
  put(disk, "/a/c", "1", false);
  disk.make_link("c", "/a/d");
  EXPECT_EQ(disk.paths(), (std::vector<std::string>{"/a/", "/a/b/", "/a/c", "/a/d -> c"}));
  EXPECT_EQ(disk.snapshot(), (std::map<std::string, std::string>{{"/a/c", "1"}}));
}

}  // namespace
}  // namespace resnext::test
