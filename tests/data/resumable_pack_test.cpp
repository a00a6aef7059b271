// A pack that was interrupted goes on, and ends with the bytes of one that was not.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/resumable_pack.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>

#include "comm/common/error.h"
#include "data/image/jpeg_encoder.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::make_image;
using testing::read_bytes;
using testing::run_command;
using testing::TemporaryFolder;
using testing::write_bytes;

constexpr int64_t kFiles = 12;

// Death tests of the default style, which fork here: no other thread lives.
class ResumablePackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int64_t i = 0; i < kFiles; ++i) {
      Bytes bytes = encode_jpeg(make_image(20 + i, 30, static_cast<uint64_t>(i)).view(), 90);
      if (i == 4) bytes = {1, 2, 3};
      write_bytes(folder_ / ("src/" + std::to_string(i % 3) + "/" + std::to_string(i) + ".jpg"),
                  bytes);
    }
    fs::create_directory(folder_ / "out");
  }

  ImageFolderSource source(int64_t save_bytes = 1) const {
    ImageFolderSource s;
    s.folder = folder_ / "src";
    s.packing.threads = 2;
    s.packing.skip_damaged = true;
    s.packing.save_bytes = save_bytes;
    return s;
  }
  std::string out() const { return folder_ / "out/a.h5"; }
  Bytes uninterrupted(const ImageFolderSource& s) const {
    pack_imagefolder(s, folder_ / "whole.h5");
    return read_bytes(folder_ / "whole.h5");
  }
  // As by SIGKILL when `done` files are packed.
  void kill_at(const ImageFolderSource& s, int64_t at) const {
    PackObserver observer;
    observer.progress = [&](int64_t done, int64_t) {
      if (done == at) ::kill(::getpid(), SIGKILL);
    };
    EXPECT_EXIT(pack_imagefolder(s, out(), observer), ::testing::KilledBySignal(SIGKILL), "");
    EXPECT_FALSE(fs::exists(out()));
  }
  // Files that this pack looks at, and what it says.
  std::pair<int64_t, std::string> go_on(const ImageFolderSource& s) const {
    std::pair<int64_t, std::string> seen;
    PackObserver observer;
    observer.progress = [&](int64_t, int64_t total) {
      EXPECT_EQ(total, kFiles);
      ++seen.first;
    };
    observer.warning = [&](const std::string& text) { seen.second += text + "\n"; };
    pack_imagefolder(s, out(), observer);
    return seen;
  }
  std::string refusal(const ImageFolderSource& s) const {
    try {
      pack_imagefolder(s, out());
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "was not refused";
  }

  TemporaryFolder folder_;
};

TEST_F(ResumablePackTest, AKilledPackEndsWithTheSameBytes) {
  for (const bool raw : {false, true}) {
    ImageFolderSource s = source();
    if (raw) {
      s.storage = Storage::kRaw;
      s.size = 16;
    }
    const Bytes whole = uninterrupted(s);
    for (const int64_t at : {1, 5, 12}) {
      kill_at(s, at);
      const auto [files, said] = go_on(s);
      EXPECT_NEAR(files, kFiles - at, 1) << "saved with every sample";
      EXPECT_NE(said.find("going on"), std::string::npos) << said;
      EXPECT_NE(said.find("1 damaged files are left out"), std::string::npos) << said;
      EXPECT_EQ(read_bytes(out()), whole) << at;
      fs::remove(out());
      EXPECT_TRUE(fs::is_empty(folder_ / "out"));
    }
  }
}

TEST_F(ResumablePackTest, WhatWasNotSavedIsPackedAgain) {
  const ImageFolderSource s = source(1 << 20);
  const Bytes whole = uninterrupted(s);
  kill_at(s, 7);
  kill_at(s, 10);  // twice
  EXPECT_EQ(go_on(s).first, kFiles);
  EXPECT_EQ(read_bytes(out()), whole);
}

TEST_F(ResumablePackTest, OtherSourcesAndOptionsAreRefusedOrBeginAnew) {
  kill_at(source(), 6);
  ImageFolderSource other = source();
  other.size = 16;
  EXPECT_NE(refusal(other).find("its --size is 0, now 16"), std::string::npos) << refusal(other);
  EXPECT_NE(refusal(other).find("--force"), std::string::npos);
  other = source();
  other.packing.seed = 7;
  EXPECT_NE(refusal(other).find("shuffled by seed 1, now shuffled by seed 7"), std::string::npos);
  write_bytes(folder_ / "src/1/new.jpg", read_bytes(folder_ / "src/1/1.jpg"));
  EXPECT_NE(refusal(source()).find("list of files is 12"), std::string::npos) << refusal(source());
  fs::remove(folder_ / "src/1/new.jpg");
  fs::create_directories(folder_ / "copy");
  fs::copy(folder_ / "src", folder_ / "copy/src", fs::copy_options::recursive);
  other = source();
  other.folder = folder_ / "copy/src";
  EXPECT_NE(refusal(other).find("copy/src"), std::string::npos) << refusal(other);
  EXPECT_TRUE(fs::exists(out() + ".partial.state")) << "a refusal changes nothing";
  other = source();
  other.packing.seed = 7;
  other.packing.restart = true;
  const auto [files, said] = go_on(other);
  EXPECT_EQ(files, kFiles);
  EXPECT_NE(said.find("beginning anew"), std::string::npos) << said;
  EXPECT_EQ(read_bytes(out()), uninterrupted(other));
}

// A file under the name of another, and one of the same size.
TEST_F(ResumablePackTest, AChangedFileIsRefusedOrBeginsAnew) {
  const std::string file = folder_ / "src/0/3.jpg";
  const Bytes before = read_bytes(file);
  const auto time = fs::last_write_time(file);
  kill_at(source(), 6);
  write_bytes(file, encode_jpeg(make_image(40, 40, 99).view(), 90));
  fs::last_write_time(file, time);
  EXPECT_NE(refusal(source()).find("sizes and times"), std::string::npos) << refusal(source());
  write_bytes(file, before);
  fs::last_write_time(file, time + std::chrono::microseconds(1));
  EXPECT_NE(refusal(source()).find("sizes and times"), std::string::npos) << refusal(source());
  fs::last_write_time(file, time);
  EXPECT_LE(go_on(source()).first, kFiles - 5) << "as it was";
}

TEST_F(ResumablePackTest, AStateThatSaysMoreThanThereIsBeginsAnew) {
  const Bytes whole = uninterrupted(source());
  kill_at(source(), 6);
  fs::resize_file(out() + ".partial", 5000);
  EXPECT_EQ(go_on(source()).first, kFiles);
  EXPECT_EQ(read_bytes(out()), whole);
  fs::remove(out());
  kill_at(source(), 6);
  const Bytes state = read_bytes(out() + ".partial.state");
  for (const size_t at : {size_t{3}, state.size() / 2, state.size() - 2}) {  // one bit is wrong
    Bytes spoiled = state;
    spoiled[at] ^= 1;
    write_bytes(out() + ".partial.state", spoiled);
    go_on(source());
    EXPECT_EQ(read_bytes(out()), whole);
    fs::remove(out());
    kill_at(source(), 6);
  }
}

TEST_F(ResumablePackTest, TwoPacksOfOneFileAreNotOne) {
  const ContainerWriter first(out());
  EXPECT_NE(refusal(source()).find("another program"), std::string::npos) << refusal(source());
}

TEST_F(ResumablePackTest, AnHdf5FileToo) {
  testing::write_raw_container(folder_ / "in.h5", 20, 8, 8, 4);
  PackingOptions packing{.order = PackOrder::kShuffled, .seed = 3, .save_bytes = 1};
  pack_hdf5({folder_ / "in.h5"}, folder_ / "whole.h5", {}, packing);
  PackObserver observer;
  observer.progress = [](int64_t done, int64_t) {
    if (done == 9) ::kill(::getpid(), SIGKILL);
  };
  EXPECT_EXIT(pack_hdf5({folder_ / "in.h5"}, out(), observer, packing),
              ::testing::KilledBySignal(SIGKILL), "");
  observer.progress = [](int64_t done, int64_t) { EXPECT_GT(done, 9); };
  pack_hdf5({folder_ / "in.h5"}, out(), observer, packing);
  EXPECT_EQ(read_bytes(out()), read_bytes(folder_ / "whole.h5"));
  EXPECT_EQ(Container(out()).order(), "shuffled by seed 3");
}

// Killed at every second of its calls on files in turn; each time the next run ends the work.
TEST_F(ResumablePackTest, KilledAtItsFileCalls) {
  const std::string library =
      std::string(RESNEXT_BIN_DIR) + "/../tests/integration/libresnext_file_fault.so";
  if (!fs::exists(library)) GTEST_SKIP() << "file_fault is not built";
  const ImageFolderSource s = source(64 << 20);
  const Bytes whole = uninterrupted(s);
  const std::string pack = std::string(RESNEXT_BIN_DIR) + "/resnext_data pack imagefolder " +
                           s.folder + " " + out() + " --on-error skip --threads 1";
  const std::string preload = "LD_PRELOAD=" + library + " FILE_FAULT='" + (folder_ / "out ");
  int64_t call = 1;
  while (run_command(preload + std::to_string(call) + " kill' " + pack).code != 0) {
    EXPECT_FALSE(fs::exists(out())) << "half a file after call " << call;
    pack_imagefolder(s, out());
    ASSERT_EQ(read_bytes(out()), whole) << call;
    fs::remove(out());
    call += 2;
    ASSERT_LT(call, 200);
  }
  EXPECT_GT(call, 10);
}

}  // namespace
}  // namespace resnext
