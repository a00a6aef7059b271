// resnext_data: the command line, its exit codes and requests to stop.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "data/image/jpeg_encoder.h"
#include "tests/data/packer_fixture.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::make_image;
using testing::PackerTest;
using testing::read_bytes;
using testing::run_command;
using testing::text;
using testing::write_bytes;

const std::string kProgram = std::string(RESNEXT_BIN_DIR) + "/resnext_data ";

class CommandTest : public PackerTest {
 protected:
  // Runs resnext_data; expects the exit code and, of errors, one line.
  std::string expect(int code, const std::string& arguments) {
    const auto result = run_command(kProgram + arguments);
    EXPECT_EQ(result.code, code) << arguments << "\n" << result.output;
    if (code != 0) {
      const auto errors = result.output.find("resnext_data: ");
      EXPECT_NE(errors, std::string::npos) << result.output;
      EXPECT_EQ(result.output.find('\n', errors), result.output.size() - 1) << result.output;
    }
    return result.output;
  }
};

TEST_F(CommandTest, PacksVerifiesAndInspects) {
  make_image_folder(false);
  const std::string arguments = "pack imagefolder " + (folder_ / "src ") + out();
  expect(0, arguments + " --storage raw --size 24 --threads 2");
  EXPECT_NE(expect(0, "verify " + out()).find("all 5 samples are good"), std::string::npos);
  const std::string description = expect(0, "inspect " + out());
  for (const char* word :
       {"raw", "24x24", "direct", "shuffled by seed 1", "fewest 2 (b_class)", "most 3 (a_class)"}) {
    EXPECT_NE(description.find(word), std::string::npos) << description;
  }
  EXPECT_NE(expect(64, arguments).find("--force"), std::string::npos);
  expect(0, arguments + " --force");
  EXPECT_NE(expect(0, "inspect " + out()).find("height 59..59"), std::string::npos);
  const std::string shuffle = expect(0, "inspect --shuffle --batch 2 " + out());
  for (const char* word : {"classes in one of 2: full", "one sample after another", "MB/s"}) {
    EXPECT_NE(shuffle.find(word), std::string::npos) << shuffle;
  }
  EXPECT_NE(expect(0, "--help").find("verify"), std::string::npos);
}

TEST_F(CommandTest, TellsItsVersionAndWhatWasMeant) {
  const std::string version = expect(0, "--version");
  EXPECT_TRUE(std::isdigit(static_cast<unsigned char>(version.at(0)))) << version;
  EXPECT_EQ(expect(0, "pack cifar10 --version"), version);
  EXPECT_NE(expect(64, "inspekt a").find("did you mean 'inspect'?"), std::string::npos);
  EXPECT_NE(expect(64, "pack imagefoldr a b").find("did you mean 'imagefolder'?"),
            std::string::npos);
  EXPECT_NE(expect(64, "verify a --thread 2").find("did you mean '--threads'?"), std::string::npos);
  EXPECT_NE(expect(64, "pack imagefolder a b --storage png").find("'png' is not one of jpeg, raw"),
            std::string::npos);
  const std::string help = expect(0, "pack imagefolder --help");
  EXPECT_NE(help.find("--storage jpeg|raw"), std::string::npos) << help;
  EXPECT_NE(help.find("squares of pixels [jpeg]"), std::string::npos) << help;
  EXPECT_NE(help.find("--on-error fail|skip"), std::string::npos) << help;
  EXPECT_EQ(help.find("->"), std::string::npos) << help;
}

TEST_F(CommandTest, UsageErrorsAre64) {
  for (const char* arguments :
       {"", "pack", "pack imagefolder", "unknown", "pack imagefolder a b --storage png",
        "pack imagefolder a b --size 0", "pack imagefolder a b --threads 0",
        "pack imagefolder a b --on-error ask", "pack cifar10 a b", "pack cifar10 a b --split both",
        "pack hdf5 a b --jpeg both", "pack hdf5 a b --seed -1", "verify a --threads -1"}) {
    expect(64, arguments);
  }
  for (const char* arguments :
       {"pack hdf5 a b --seed 5", "pack imagefolder a b --order sorted --seed 5",
        "pack imagefolder a b --quality 50", "pack imagefolder a b --storage raw --jpeg unchanged",
        "pack imagefolder a b --storage raw --size 8 --quality 50"}) {
    EXPECT_NE(expect(64, arguments).find("has no effect"), std::string::npos) << arguments;
  }
}

// Found before anything is packed, and --force does not help.
TEST_F(CommandTest, TheOutputIsAFile) {
  testing::write_raw_container(folder_ / "in.h5", 3, 4, 4, 2);
  fs::create_directory(out());
  fs::create_symlink("/dev/full", folder_ / "device.h5");
  for (const std::string& path : {out(), folder_ / "device.h5"}) {
    const std::string said = expect(64, "pack hdf5 --force " + (folder_ / "in.h5 ") + path);
    EXPECT_NE(said.find("is a folder or device"), std::string::npos) << said;
  }
  EXPECT_TRUE(fs::is_directory(out()));
  EXPECT_TRUE(fs::is_symlink(folder_ / "device.h5"));
}

TEST_F(CommandTest, AContainerIsPackedOntoItself) {
  make_image_folder(false);
  expect(0, "pack imagefolder --jpeg unchanged --order sorted " + (folder_ / "src ") + out());
  expect(0, "pack hdf5 --force --order shuffled --seed 3 " + out() + " " + out());
  const std::string description = expect(0, "inspect " + out());
  for (const char* word : {"images   5", "shuffled by seed 3", "fewest 2 (b_class)"}) {
    EXPECT_NE(description.find(word), std::string::npos) << description;
  }
  EXPECT_NE(expect(0, "verify " + out()).find("all 5 samples are good"), std::string::npos);
}

TEST_F(CommandTest, DataErrorsAre65) {
  make_image_folder(true);
  expect(65, "inspect " + (folder_ / "missing.h5"));
  expect(65, "verify " + (folder_ / "src/a_class/notes.txt"));
  expect(65, "pack cifar10 " + (folder_ / "src ") + out() + " --split train");
  expect(65, "pack idx " + (folder_ / "i ") + (folder_ / "l ") + out());
  expect(65, "pack imagefolder " + (folder_ / "src ") + out());
  EXPECT_FALSE(fs::exists(out()));
  const std::string output =
      expect(0, "pack imagefolder " + (folder_ / "src ") + out() + " --on-error skip");
  EXPECT_NE(output.find("gif.jpg"), std::string::npos);
  testing::write_raw_container(out(), 4, 16, 16, 2);
  Bytes file = read_bytes(out());
  const Bytes pixels = make_image(16, 16, 2).pixels;
  *std::search(file.begin(), file.end(), pixels.begin(), pixels.end()) ^= 1;
  write_bytes(out(), file);
  EXPECT_NE(expect(65, "verify " + out()).find("1 of 4 samples are bad"), std::string::npos);
}

TEST_F(CommandTest, ABadSampleIsADataErrorOfInspectToo) {
  ContainerDescription description;
  description.storage = Storage::kJpeg;
  description.class_names = {"x"};
  ContainerWriter writer(out());
  writer.append(text("not an image"), 0);
  writer.finish(description);
  EXPECT_NE(expect(65, "inspect " + out()).find("sample 0"), std::string::npos);
}

// Each stop signal, in the middle of work that would take minutes. No file of the final name is
// left; what was packed is kept for the next time, and said.
TEST_F(CommandTest, EveryStopSignalEndsItWith75) {
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "src/a/" + std::to_string(i) + ".jpg";
    if (i == 0) write_bytes(folder_ / name, encode_jpeg(make_image(600, 800, 1).view(), 90));
    if (i > 0) fs::create_hard_link(folder_ / "src/a/0.jpg", folder_ / name);
  }
  const std::string pack = kProgram + "pack imagefolder " + (folder_ / "src ") +
                           (folder_ / "out/a.h5") + " --storage raw --threads 1";
  for (const char* signal : {"TERM", "INT", "HUP", "USR1", "USR2"}) {
    fs::remove_all(folder_ / "out");
    fs::create_directory(folder_ / "out");
    const auto result =
        run_command("( " + pack + " & p=$!; until [ -n \"$(ls " + (folder_ / "out") +
                    ")\" ]; do sleep 0.01; done; kill -" + signal + " $p; wait $p; exit $? )");
    EXPECT_EQ(result.code, 75) << signal << result.output;
    EXPECT_NE(result.output.find("stopped on request"), std::string::npos) << result.output;
    EXPECT_FALSE(fs::exists(folder_ / "out/a.h5")) << signal;
    const bool said = result.output.find("the same command goes on") != std::string::npos;
    EXPECT_EQ(said, !fs::is_empty(folder_ / "out")) << result.output;
  }
}

TEST_F(CommandTest, OutputErrorsAre73AndLeaveNothing) {
  make_image_folder(false);
  expect(73, "pack imagefolder " + (folder_ / "src ") + (folder_ / "missing/out.h5"));
  testing::write_raw_container(folder_ / "in.h5", 30, 120, 120, 2);
  fs::create_directory(folder_ / "full");
  // A limit on the size of files, in KiB, stands for the full disk.
  const auto result = run_command("trap '' XFSZ; ulimit -f 1000; " + kProgram + "pack hdf5 " +
                                  (folder_ / "in.h5 ") + (folder_ / "full/out.h5"));
  EXPECT_EQ(result.code, 73) << result.output;
  EXPECT_TRUE(fs::is_empty(folder_ / "full"));
}

}  // namespace
}  // namespace resnext
