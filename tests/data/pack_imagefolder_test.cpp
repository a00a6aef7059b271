// Packing image folders: what is stored, classes and labels, order, damage.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "comm/common/error.h"
#include "data/augment/resample.h"
#include "data/image/image_decoder.h"
#include "data/image/jpeg_encoder.h"
#include "tests/data/packer_fixture.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::golden_image;
using testing::golden_path;
using testing::make_image;
using testing::PackerTest;
using testing::read_bytes;
using testing::text;
using testing::write_bytes;

TEST_F(PackerTest, ImageFolderKeepsTheFilesUnchanged) {
  make_image_folder(false);
  pack_imagefolder(source(), out());
  const Container container(out());
  EXPECT_EQ(container.class_names(), (std::vector<std::string>{"a_class", "b_class"}));
  ASSERT_EQ(container.count(), 5);
  Bytes bytes;
  for (int64_t i = 0; i < 5; ++i) {
    container.read_sample(i, bytes);
    const auto& [name, label] = kPacked[static_cast<size_t>(i)];
    EXPECT_EQ(bytes, read_bytes(golden_path(name))) << name;
    EXPECT_EQ(container.label(i), label);
  }
  EXPECT_EQ(container.mean(), (std::array<double, 3>{0.485, 0.456, 0.406}));
}

TEST_F(PackerTest, ImageFolderMakesJpegCroppable) {
  make_image_folder(false);
  ImageFolderSource s = source();
  s.packing.croppable = ImageFolderSource().packing.croppable;
  pack_imagefolder(s, out());
  const Container container(out());
  Bytes bytes;
  for (int64_t i = 0; i < 5; ++i) {
    container.read_sample(i, bytes);
    const std::string name = kPacked[static_cast<size_t>(i)].first;
    const Bytes file = read_bytes(golden_path(name));
    Image got, want;
    decode_image(bytes, got);
    decode_image(file, want);
    EXPECT_EQ(got.pixels, want.pixels) << name;
    const bool croppable = name == "420.jpg" || name == "grey.jpg";
    EXPECT_EQ(bytes != file, croppable) << name;
    EXPECT_EQ(testing::has_restart_markers(bytes), croppable) << name;
  }
  s.size = 40;
  pack_imagefolder(s, out());
  Container(out()).read_sample(3, bytes);
  EXPECT_TRUE(testing::has_restart_markers(bytes)) << "what is encoded again is, too";
}

TEST_F(PackerTest, ImageFolderToRawSquares) {
  make_image_folder(false);
  ImageFolderSource s = source();
  s.storage = Storage::kRaw;
  s.size = 40;
  pack_imagefolder(s, out());
  const Container container(out());
  EXPECT_EQ(container.storage(), Storage::kRaw);
  EXPECT_EQ(container.height(), 40);
  Image cmyk = golden_image("cmyk_jpg");
  Image want;
  want.resize(40, 40);
  // 59 x 83 to 40 x 56, then the middle 40 columns.
  Resampler().resize(cmyk.view(), {{0, 0, 59, 83}, 40, 56, 0, 8, Filter::kBilinear}, 40, 40,
                     want.pixels.data());
  Image got;
  got.resize(40, 40);
  container.read_sample(4, got.pixels);
  EXPECT_LE(testing::difference(got.view(), want.view()).largest, 1);
}

TEST_F(PackerTest, ImageFolderToSmallerJpeg) {
  make_image_folder(false);
  write_bytes(folder_ / "src/b_class/3.jpg", encode_jpeg(make_image(30, 80, 1).view(), 50));
  ImageFolderSource s = source();
  s.size = 40;
  pack_imagefolder(s, out());
  const Container container(out());
  Bytes bytes;
  container.read_sample(0, bytes);
  EXPECT_EQ(read_image_size(bytes).height, 40);
  EXPECT_EQ(read_image_size(bytes).width, 56);
  container.read_sample(5, bytes);
  EXPECT_EQ(bytes, encode_jpeg(make_image(30, 80, 1).view(), 50))
      << "small images stay as they are";
}

// A container holds what every build reads: others become PNG, to the pixel.
TEST_F(PackerTest, OtherFormatsBecomePng) {
  for (const char* name : {"rgb.webp", "palette.bmp", "lzw.tif"}) {
    write_bytes(folder_ / (std::string("src/a/") + name), read_bytes(golden_path(name)));
  }
  try {
    pack_imagefolder(source(), out());
  } catch (const DataError& error) {
    ASSERT_NE(std::string(error.what()).find("built without"), std::string::npos) << error.what();
    GTEST_SKIP() << error.what();
  }
  const Container container(out());
  ASSERT_EQ(container.count(), 3);
  const char* const names[] = {"lzw_tif", "palette_bmp", "rgb_webp"};
  for (int64_t i = 0; i < 3; ++i) {
    Bytes bytes;
    container.read_sample(i, bytes);
    EXPECT_EQ(bytes[1], 'P') << "PNG";
    Image image;
    decode_image(bytes, image);
    EXPECT_EQ(testing::difference(image.view(), golden_image(names[i]).view()).largest, 0);
  }
}

TEST_F(PackerTest, DamagedFilesAreNamedAndLeftOutOrAnError) {
  make_image_folder(true);
  try {
    pack_imagefolder(source(), out());
    FAIL() << "the damage was not noticed";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("2 damaged files"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("cut.jpg"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(out()));
  ImageFolderSource s = source();
  s.packing.skip_damaged = true;
  std::string warnings;
  PackObserver observer;
  int64_t last = 0;
  observer.warning = [&](const std::string& w) { warnings += w + "\n"; };
  observer.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 7);
    EXPECT_EQ(done, ++last);
  };
  pack_imagefolder(s, out(), observer);
  EXPECT_EQ(last, 7);
  EXPECT_EQ(Container(out()).count(), 5);
  for (const char* word : {"cut.jpg", "gif.jpg", "2 damaged files", "1 files are not named"}) {
    EXPECT_NE(warnings.find(word), std::string::npos) << warnings;
  }
}

TEST_F(PackerTest, NothingUsableIsAnError) {
  EXPECT_THROW(pack_imagefolder(source(), out()), DataError);  // no such folder
  write_bytes(folder_ / "src/loose.jpg", text("x"));
  EXPECT_THROW(pack_imagefolder(source(), out()), DataError);  // no class folder
  write_bytes(folder_ / "src/a/bad.jpg", text("x"));
  ImageFolderSource s = source();
  s.packing.skip_damaged = true;
  EXPECT_THROW(pack_imagefolder(s, out()), DataError);  // all damaged
  s.storage = Storage::kRaw;
  s.size = 0;
  EXPECT_THROW(pack_imagefolder(s, out()), ConfigError);
}

// A pipe without a writer, and a file that looks huge.
TEST_F(PackerTest, WhatIsNoImageFileIsDamage) {
  make_image_folder(false);
  ASSERT_EQ(::mkfifo((folder_ / "src/a_class/pipe.jpg").c_str(), 0600), 0);
  write_bytes(folder_ / "src/a_class/huge.jpg", {});
  fs::resize_file(folder_ / "src/a_class/huge.jpg", 40'000'000'000);
  ImageFolderSource s = source();
  s.packing.skip_damaged = true;
  std::string warnings;
  PackObserver observer;
  observer.warning = [&](const std::string& w) { warnings += w + "\n"; };
  pack_imagefolder(s, out(), observer);
  EXPECT_EQ(Container(out()).count(), 5);
  for (const char* word : {"pipe.jpg: is not a file", "huge.jpg: is of 40000000000 bytes"}) {
    EXPECT_NE(warnings.find(word), std::string::npos) << warnings;
  }
}

class ClassesTest : public PackerTest {
 protected:
  void add(const std::string& name) {
    write_bytes(folder_ / ("src/" + name), read_bytes(golden_path("grey.jpg")));
  }
  void list(const std::string& name, const std::string& lines) {
    write_bytes(folder_ / name, text(lines));
  }
  // What packing says besides.
  std::string pack(const ImageFolderSource& s) {
    std::string warnings;
    PackObserver observer;
    observer.warning = [&](const std::string& w) { warnings += w + "\n"; };
    pack_imagefolder(s, out(), observer);
    return warnings;
  }
  // The class name of each image.
  ClassNames packed() const {
    const Container container(out());
    ClassNames names;
    for (int64_t i = 0; i < container.count(); ++i) {
      names.push_back(container.class_names().at(static_cast<size_t>(container.label(i))));
    }
    return names;
  }
  void expect_refused(const ImageFolderSource& s, const std::string& word) {
    try {
      pack(s);
      ADD_FAILURE() << "was not refused: " << word;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
    EXPECT_FALSE(fs::exists(out()));
  }
};

TEST_F(ClassesTest, HiddenEntriesAreLeftOutAndCounted) {
  for (const char* name : {".ipynb_checkpoints/1.jpg", ".DS_Store", "a/1.jpg", "a/._1.jpg",
                           "a/.Trash/2.jpg", "a/.Trash/3.jpg", "b/2.jpg"}) {
    add(name);
  }
  add("b/.hidden.txt");
  const std::string warnings = pack(source());
  EXPECT_EQ(Container(out()).class_names(), (ClassNames{"a", "b"}));
  EXPECT_EQ(packed(), (ClassNames{"a", "b"}));
  EXPECT_NE(warnings.find("5 hidden"), std::string::npos) << warnings;
}

TEST_F(ClassesTest, AnEmptyFolderStaysAClass) {
  for (const char* name : {"a/1.jpg", "c/1.jpg"}) add(name);
  fs::create_directories(folder_ / "src/b");
  const std::string warnings = pack(source());
  EXPECT_EQ(Container(out()).class_names(), (ClassNames{"a", "b", "c"}));
  EXPECT_EQ(packed(), (ClassNames{"a", "c"}));
  EXPECT_NE(warnings.find("1 of 3 classes have no image: b"), std::string::npos) << warnings;
  fs::remove(folder_ / "src/a/1.jpg");
  fs::remove(folder_ / "src/c/1.jpg");
  fs::remove(out());
  expect_refused(source(), "has no .jpg");
}

TEST_F(ClassesTest, AreTakenFromAContainerOrAList) {
  for (const char* name : {"b/1.jpg", "d/1.jpg"}) add(name);
  ImageFolderSource s = source();
  list("classes", "d\r\n\na\nb\n");
  s.classes = folder_ / "classes";
  pack(s);
  EXPECT_EQ(Container(out()).class_names(), (ClassNames{"d", "a", "b"}));
  EXPECT_EQ(packed(), (ClassNames{"d", "b"}));
  fs::rename(out(), folder_ / "train.h5");
  s.classes = folder_ / "train.h5";
  const std::string warnings = pack(s);
  EXPECT_EQ(Container(out()).class_names(), (ClassNames{"d", "a", "b"}));
  EXPECT_NE(warnings.find("1 of 3 classes have no image: a"), std::string::npos) << warnings;
  fs::remove(out());
  add("e/1.jpg");
  expect_refused(s, "not among the classes: e");
  list("classes", "d\nb\nd\n");
  s.classes = folder_ / "classes";
  expect_refused(s, "two classes are named 'd'");
  s.classes = folder_ / "none";
  expect_refused(s, "cannot be opened");
}

TEST_F(ClassesTest, AFlatFolderTakesAListOfLabels) {
  for (const char* name : {"val_1.jpg", "val_2.jpg", "deeper/val 3.jpg", "unlisted.jpg"}) add(name);
  list("classes", "zebra\nant\ncrane bird\n");
  ImageFolderSource s = source();
  s.classes = folder_ / "classes";
  s.labels = folder_ / "labels";
  list("labels", "val_2.jpg ant\nval_1.jpg,zebra\r\ndeeper/val 3.jpg\tcrane bird\n");
  const std::string warnings = pack(s);
  EXPECT_EQ(packed(), (ClassNames{"ant", "zebra", "crane bird"}));
  EXPECT_EQ(Container(out()).class_names(), (ClassNames{"zebra", "ant", "crane bird"}));
  EXPECT_NE(warnings.find("1 images are not in the list"), std::string::npos) << warnings;
  list("labels", "val_1.jpg 2\nval_2.jpg 0\n");
  pack(s);
  EXPECT_EQ(packed(), (ClassNames{"crane bird", "zebra"}));
  s.classes = "";
  list("labels", "val_1.jpg ant\nval_2.jpg 7\n");
  pack(s);
  EXPECT_EQ(Container(out()).class_names(), (ClassNames{"7", "ant"}));
  list("labels", "  val_1.jpg 10 \nval_2.jpg 9\t\n./deeper/val 3.jpg\t9\n");
  pack(s);
  EXPECT_EQ(Container(out()).class_names(), (ClassNames{"9", "10"})) << "by value, not by name";
  EXPECT_EQ(packed(), (ClassNames{"10", "9", "9"}));
  fs::remove(out());
  s.classes = folder_ / "classes";
  for (const auto& [lines, word] : std::initializer_list<std::pair<const char*, const char*>>{
           {"val_1.jpg 3\n", "index 3 is not in 0..2"},
           {"val_1.jpg -1\n", "index -1"},
           {"val_1.jpg wolf\n", "'wolf' is not among the classes"},
           {"val_1.jpg ant\nval_2.jpg wolf\n", "'wolf' is not among the classes"},
           {"val_1.jpg ant\nval_2.jpg 1\n", "use names or indices"},
           {"val_9.jpg ant\n", "'val_9.jpg', which is no image"},
           {"val_1.jpg ant\nval_1.jpg ant\n", "stands there twice"},
           {"490\n361\n", "'490' is no file name and class"},
           {"val_1.jpg ant\n./val_1.jpg ant\n", "stands there twice"},
           {"val_1.jpg,\"ant\"\n", "has quotation marks"},
           {"\"val_1.jpg\",ant\n", "has quotation marks"},
           {"val_1.jpg,ant,train\n", "more than a file name and a class"},
           {"\n \n", "names no image"},
           {"val_1.jpg\n", "no file name and class"}}) {
    list("labels", lines);
    expect_refused(s, word);
  }
}

// A list that a program wrote in UTF-16, or an image by mistake.
TEST_F(ClassesTest, AListIsPlainText) {
  add("val_1.jpg");
  ImageFolderSource s = source();
  s.labels = folder_ / "labels";
  write_bytes(s.labels, {0xff, 0xfe, 'a', 0, ' ', 0, 'b', 0});
  expect_refused(s, "is no plain text");
  list("classes", "\tant\t\n");
  EXPECT_EQ(read_class_list(folder_ / "classes"), (ClassNames{"ant"}));
}

TEST_F(ClassesTest, WhatIsNotWhereItIsLookedForIsSaid) {
  for (const char* name : {"a/1.jpg", "b/train/1.jpg", "b/2.jpg", "loose.jpg", "a/3.heic"})
    add(name);
  const std::string warnings = pack(source());
  for (const char* said :
       {"1 files lie beside the class folders", "loose.jpg", "1 files are not named", "a/3.heic",
        "1 images lie in folders within a class folder", "b/train/1.jpg"}) {
    EXPECT_NE(warnings.find(said), std::string::npos) << said << " in\n" << warnings;
  }
}

TEST_F(ClassesTest, NumbersAsNamesAreSaidToBeInOrderOfName) {
  for (const char* name : {"0/1.jpg", "2/1.jpg", "10/1.jpg"}) add(name);
  std::string warnings = pack(source());
  EXPECT_NE(warnings.find("label 1 is class 10"), std::string::npos) << warnings;
  EXPECT_EQ(Container(out()).class_names(), (ClassNames{"0", "10", "2"}));
  fs::remove_all(folder_ / "src/10");
  warnings = pack(source());
  EXPECT_EQ(warnings, "");
}

// Of two of them, following links would take as long as 2^40 folders.
TEST_F(ClassesTest, LinksThatLeadUpOrNowhereAreRefused) {
  for (const char* name : {"a/1.jpg", "b/1.jpg"}) add(name);
  for (const char* name : {"src/a/all", "src/b/all"})
    fs::create_directory_symlink("..", folder_ / name);
  expect_refused(source(), "is a link to a folder that holds it");
  for (const char* name : {"src/a/all", "src/b/all"}) fs::remove(folder_ / name);
  fs::create_directory_symlink("/nowhere", folder_ / "src/c");
  expect_refused(source(), "src/c: is a link that leads nowhere");
  fs::remove(folder_ / "src/c");
  fs::create_directory_symlink(folder_ / "src/a", folder_ / "src/c");  // the same images twice
  pack(source());
  EXPECT_EQ(packed(), (ClassNames{"a", "b", "c"}));
}

// Bytes and label of every sample, in the order of the container.
std::vector<std::pair<Bytes, int64_t>> samples_of(const std::string& path) {
  const Container container(path);
  std::vector<std::pair<Bytes, int64_t>> samples(static_cast<size_t>(container.count()));
  for (int64_t i = 0; i < container.count(); ++i) {
    auto& [bytes, label] = samples[static_cast<size_t>(i)];
    container.read_sample(i, bytes);
    label = container.label(i);
  }
  return samples;
}

TEST_F(PackerTest, TheOrderIsShuffledByTheSeedAndSaid) {
  for (uint64_t i = 0; i < 30; ++i) {
    write_bytes(folder_ / ("src/" + std::to_string(i / 10) + "/" + std::to_string(i) + ".jpg"),
                encode_jpeg(make_image(16, 16, i).view(), 90));
  }
  pack_imagefolder(source(), folder_ / "sorted.h5");
  ImageFolderSource s = source();
  s.packing.order = ImageFolderSource().packing.order;
  pack_imagefolder(s, folder_ / "a.h5");
  s.packing.threads = 1;
  pack_imagefolder(s, folder_ / "again.h5");
  s.packing.seed = 2;
  pack_imagefolder(s, folder_ / "b.h5");
  auto sorted = samples_of(folder_ / "sorted.h5"), a = samples_of(folder_ / "a.h5"),
       b = samples_of(folder_ / "b.h5");
  EXPECT_EQ(read_bytes(folder_ / "a.h5"), read_bytes(folder_ / "again.h5"));
  EXPECT_NE(a, sorted);
  EXPECT_NE(a, b);
  EXPECT_EQ(Container(folder_ / "a.h5").order(), "shuffled by seed 1");
  EXPECT_EQ(Container(folder_ / "sorted.h5").order(), "sorted by class");
  for (auto* each : {&sorted, &a, &b}) std::sort(each->begin(), each->end());
  EXPECT_EQ(a, sorted);
  EXPECT_EQ(b, sorted);
  pack_hdf5({folder_ / "sorted.h5"}, folder_ / "mixed.h5", {}, s.packing);
  EXPECT_EQ(read_bytes(folder_ / "mixed.h5"), read_bytes(folder_ / "b.h5"));
}

TEST_F(PackerTest, ResultDoesNotDependOnThreads) {
  make_image_folder(false);
  ImageFolderSource s = source();
  s.storage = Storage::kRaw;
  s.size = 24;
  pack_imagefolder(s, out());
  s.packing.threads = 1;
  pack_imagefolder(s, folder_ / "one.h5");
  Bytes a, b;
  for (int64_t i = 0; i < 5; ++i) {
    Container(out()).read_sample(i, a);
    Container(folder_ / "one.h5").read_sample(i, b);
    EXPECT_EQ(a, b);
  }
}

}  // namespace
}  // namespace resnext
