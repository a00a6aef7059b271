// Packing HDF5 files: what becomes of encoded images in them, damage, and going on.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <numeric>

#include "comm/common/error.h"
#include "data/image/croppable_jpeg.h"
#include "data/image/image_decoder.h"
#include "tests/data/hdf5_editor.h"
#include "tests/data/packer_fixture.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::golden_path;
using testing::Hdf5Editor;
using testing::read_bytes;

class PackHdf5Test : public testing::PackerTest {
 protected:
  // As other programs store encoded images; image i is of class i.
  void write_source(const std::vector<Bytes>& images) const {
    Hdf5Editor file(in(), /*create=*/true);
    file.put_sequences("images", images);
    std::vector<int64_t> labels(images.size());
    std::iota(labels.begin(), labels.end(), int64_t{0});
    file.put("labels", {labels.size()}, labels);
  }
  // What packing says besides.
  std::string pack(const PackingOptions& options) const {
    std::string said;
    PackObserver observer;
    observer.warning = [&](const std::string& text) { said += text + "\n"; };
    pack_hdf5({in()}, out(), observer, options);
    return said;
  }
  Bytes packed(int64_t i) const {
    Bytes bytes;
    Container(out()).read_sample(i, bytes);
    return bytes;
  }
  std::string in() const { return folder_ / "in.h5"; }

  const std::vector<const char*> kNames = {"420.jpg", "rgb.png", "progressive.jpg", "cmyk.jpg",
                                           "grey.jpg"};
  std::vector<Bytes> files() const {
    std::vector<Bytes> all;
    for (const char* name : kNames) all.push_back(read_bytes(golden_path(name)));
    return all;
  }
};

TEST_F(PackHdf5Test, MakesJpegCroppableAsAFolderDoes) {
  write_source(files());
  for (const int64_t threads : {1, 3}) {
    EXPECT_EQ(pack({.threads = threads}), "");
    for (size_t i = 0; i < kNames.size(); ++i) {
      const Bytes bytes = packed(static_cast<int64_t>(i));
      Image got, want;
      decode_image(bytes, got);
      decode_image(files()[i], want);
      EXPECT_EQ(got.pixels, want.pixels) << kNames[i];
      EXPECT_EQ(testing::has_restart_markers(bytes), i != 1 && i != 3) << kNames[i];
      EXPECT_EQ(Container(out()).label(static_cast<int64_t>(i)), static_cast<int64_t>(i));
    }
  }
  const Bytes first = read_bytes(out());
  testing::write_bytes(in(), first);
  pack({.threads = 2});
  EXPECT_EQ(read_bytes(out()), first) << "what is croppable stays so, byte for byte";
}

TEST_F(PackHdf5Test, UnchangedIsTheSameBytes) {
  write_source(files());
  pack({.croppable = false});
  for (size_t i = 0; i < kNames.size(); ++i) {
    EXPECT_EQ(packed(static_cast<int64_t>(i)), files()[i]) << kNames[i];
  }
}

// Others' decoders may read more formats than every build of this program does.
TEST_F(PackHdf5Test, OtherFormatsBecomePng) {
  write_source({read_bytes(golden_path("rgb.bmp"))});
  try {
    pack({});
  } catch (const DataError& error) {
    ASSERT_NE(std::string(error.what()).find("built without"), std::string::npos) << error.what();
    GTEST_SKIP() << error.what();
  }
  EXPECT_EQ(packed(0)[1], 'P') << "PNG";
}

TEST_F(PackHdf5Test, DamagedImagesAreNamedAndLeftOutOrAnError) {
  std::vector<Bytes> images = files();
  images[0].resize(images[0].size() / 2);
  images[3] = {1, 2, 3};
  write_source(images);
  for (const bool croppable : {true, false}) {
    try {
      pack({.croppable = croppable});
      FAIL() << "the damage was not noticed";
    } catch (const DataError& error) {
      for (const char* word :
           {"2 damaged samples", "in.h5, sample 0: damaged", "--on-error skip"}) {
        EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
      }
    }
    EXPECT_FALSE(std::filesystem::exists(out()));
  }
  const std::string said = pack({.skip_damaged = true, .threads = 2});
  EXPECT_NE(said.find("sample 3: is no JPEG"), std::string::npos) << said;
  const Container container(out());
  ASSERT_EQ(container.count(), 3);
  EXPECT_EQ(container.label(0), 1);
  EXPECT_EQ(container.label(2), 4);
}

// Some of its images would be others, or missing, without a word.
TEST_F(PackHdf5Test, ASourceThatChangesWhileItIsPackedIsRefused) {
  write_source(files());
  PackObserver observer;
  observer.progress = [&](int64_t done, int64_t) {
    if (done == 2) testing::write_bytes(in(), Bytes(100));
  };
  try {
    pack_hdf5({in()}, out(), observer, {.skip_damaged = true});
    FAIL() << "was not noticed";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("has changed while"), std::string::npos)
        << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(out()));
  EXPECT_FALSE(std::filesystem::exists(out() + ".partial"));
}

TEST_F(PackHdf5Test, AnotherFormDoesNotGoOn) {
  write_source(files());
  PackObserver observer;
  observer.progress = [](int64_t done, int64_t) {
    if (done == 3) ::kill(::getpid(), SIGKILL);
  };
  PackingOptions options{.save_bytes = 1};
  EXPECT_EXIT(pack_hdf5({in()}, out(), observer, options), ::testing::KilledBySignal(SIGKILL), "");
  options.croppable = false;
  try {
    pack(options);
    FAIL() << "was not refused";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("its --jpeg is croppable, now unchanged"),
              std::string::npos)
        << error.what();
  }
  options.croppable = true;
  EXPECT_NE(pack(options).find("going on"), std::string::npos);
  EXPECT_EQ(Container(out()).count(), 5);
}

}  // namespace
}  // namespace resnext
