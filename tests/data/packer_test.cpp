// Packing image folders, CIFAR and IDX files; the command line and its exit codes.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/packer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "comm/common/error.h"
#include "data/croppable_jpeg.h"
#include "data/image_decoder.h"
#include "data/jpeg_encoder.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::golden_image;
using testing::golden_path;
using testing::make_image;
using testing::read_bytes;
using testing::run_command;
using testing::TemporaryFolder;
using testing::write_bytes;

const std::string kProgram = std::string(RESNEXT_BIN_DIR) + "/resnext_data ";

Bytes text(const std::string& s) {
  return {s.begin(), s.end()};
}

class PackerTest : public ::testing::Test {
 protected:
  // Two classes: JPEG of several kinds, a PNG with the wrong name, and files that do not count.
  void make_image_folder(bool with_damage) {
    write_bytes(folder_ / "src/b_class/1.JPEG", read_bytes(golden_path("420.jpg")));
    write_bytes(folder_ / "src/b_class/2.jpg", read_bytes(golden_path("cmyk.jpg")));
    write_bytes(folder_ / "src/a_class/grey.jpeg", read_bytes(golden_path("grey.jpg")));
    write_bytes(folder_ / "src/a_class/png_inside.jpg", read_bytes(golden_path("rgb.png")));
    write_bytes(folder_ / "src/a_class/deeper/p.png", read_bytes(golden_path("palette.png")));
    write_bytes(folder_ / "src/a_class/notes.txt", text("no image"));
    if (!with_damage) return;
    Bytes cut = read_bytes(golden_path("444.jpg"));
    cut.resize(cut.size() / 2);
    write_bytes(folder_ / "src/a_class/cut.jpg", cut);
    write_bytes(folder_ / "src/b_class/gif.jpg", text("GIF89a...."));
  }

  ImageFolderSource source() const {
    ImageFolderSource s;
    s.folder = folder_ / "src";
    s.threads = 3;
    s.croppable = false;
    s.packing.order = PackOrder::kSource;
    return s;
  }

  // Names in the order of the container.
  const std::vector<std::pair<const char*, int>> kPacked = {
      {"palette.png", 0}, {"grey.jpg", 0}, {"rgb.png", 0}, {"420.jpg", 1}, {"cmyk.jpg", 1}};

  std::string out() const { return folder_ / "out.h5"; }

  TemporaryFolder folder_;
};

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
  s.croppable = ImageFolderSource().croppable;
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
    EXPECT_EQ(crop_jpeg(bytes, {0, 9}, {0, 9}).has_value(), croppable) << name;
  }
  s.size = 40;
  pack_imagefolder(s, out());
  Container(out()).read_sample(3, bytes);
  EXPECT_TRUE(crop_jpeg(bytes, {0, 9}, {0, 9})) << "what is encoded again is, too";
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
    EXPECT_NE(std::string(error.what()).find("2 files"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("cut.jpg"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(out()));
  ImageFolderSource s = source();
  s.skip_damaged = true;
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
  s.skip_damaged = true;
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
  s.skip_damaged = true;
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
  fs::remove(out());
  s.classes = folder_ / "classes";
  for (const auto& [lines, word] : std::initializer_list<std::pair<const char*, const char*>>{
           {"val_1.jpg 3\n", "index 3 is not in 0..2"},
           {"val_1.jpg -1\n", "index -1"},
           {"val_1.jpg wolf\n", "'wolf' is not among the classes"},
           {"val_9.jpg ant\n", "'val_9.jpg', which is no image"},
           {"val_1.jpg ant\nval_1.jpg ant\n", "stands there twice"},
           {"490\n361\n", "'490' is no file name and class"},
           {"val_1.jpg\n", "no file name and class"}}) {
    list("labels", lines);
    expect_refused(s, word);
  }
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
  s.packing = ImageFolderSource().packing;
  pack_imagefolder(s, folder_ / "a.h5");
  s.threads = 1;
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
  s.threads = 1;
  pack_imagefolder(s, folder_ / "one.h5");
  Bytes a, b;
  for (int64_t i = 0; i < 5; ++i) {
    Container(out()).read_sample(i, a);
    Container(folder_ / "one.h5").read_sample(i, b);
    EXPECT_EQ(a, b);
  }
}

// Records with planes of known values: pixel (y, x) of channel c is y + x + 50 c + record.
Bytes cifar_records(int count, bool coarse) {
  Bytes bytes;
  for (int r = 0; r < count; ++r) {
    if (coarse) bytes.push_back(19);
    bytes.push_back(static_cast<uint8_t>(r % 10));
    for (int c = 0; c < 3; ++c) {
      for (int i = 0; i < 1024; ++i)
        bytes.push_back(static_cast<uint8_t>(i / 32 + i % 32 + 50 * c + r));
    }
  }
  return bytes;
}

std::string names(int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += "name" + std::to_string(i) + "\n";
  return all + "\n";
}

void expect_cifar(const Container& container, int64_t count, int64_t classes) {
  ASSERT_EQ(container.count(), count);
  EXPECT_EQ(container.classes(), classes);
  EXPECT_EQ(container.class_names()[3], "name3");
  Bytes bytes;
  container.read_sample(count - 1, bytes);
  const size_t y = 5, x = 7;
  const auto r = static_cast<int>((count - 1) % 2);  // two records in each file
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(bytes[(y * 32 + x) * 3 + c], 12 + 50 * static_cast<int>(c) + r);
  }
  EXPECT_EQ(container.label(count - 1), r);
}

TEST_F(PackerTest, Cifar10) {
  write_bytes(folder_ / "src/batches.meta.txt", text(names(10)));
  for (const char* n : {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                        "data_batch_5", "test_batch"}) {
    write_bytes(folder_ / (std::string("src/") + n + ".bin"), cifar_records(2, false));
  }
  pack_cifar({CifarKind::kCifar10, folder_ / "src", true}, out());
  expect_cifar(Container(out()), 10, 10);
  EXPECT_NEAR(Container(out()).mean()[0], 125.3 / 255, 1e-12);
  pack_cifar({CifarKind::kCifar10, folder_ / "src", false}, out());
  expect_cifar(Container(out()), 2, 10);
}

TEST_F(PackerTest, Cifar100UsesFineLabels) {
  write_bytes(folder_ / "src/fine_label_names.txt", text(names(100)));
  write_bytes(folder_ / "src/train.bin", cifar_records(2, true));
  pack_cifar({CifarKind::kCifar100, folder_ / "src", true}, out());
  expect_cifar(Container(out()), 2, 100);
}

TEST_F(PackerTest, CifarRefusesDamage) {
  const CifarSource s{CifarKind::kCifar100, folder_ / "src", true};
  EXPECT_THROW(pack_cifar(s, out()), DataError);  // no names
  write_bytes(folder_ / "src/fine_label_names.txt", text(names(100)));
  EXPECT_THROW(pack_cifar(s, out()), DataError);  // no data
  Bytes records = cifar_records(2, true);
  records[1] = 100;
  write_bytes(folder_ / "src/train.bin", records);
  EXPECT_THROW(pack_cifar(s, out()), DataError);  // label out of range
  records.pop_back();
  write_bytes(folder_ / "src/train.bin", records);
  EXPECT_THROW(pack_cifar(s, out()), DataError);  // cut
  EXPECT_FALSE(fs::exists(out()));
}

// Images of height x width: value of pixel p, counted over all images, is 7 p.
Bytes idx_images(uint8_t count, uint8_t height = 4, uint8_t width = 5) {
  constexpr size_t kHeader = 16;
  Bytes bytes(kHeader + size_t{count} * height * width, 0);
  bytes[2] = 8;
  bytes[3] = 3;
  bytes[7] = count;
  bytes[11] = height;
  bytes[15] = width;
  for (size_t i = kHeader; i < bytes.size(); ++i)
    bytes[i] = static_cast<uint8_t>((i - kHeader) * 7);
  return bytes;
}
Bytes idx_labels(int count) {
  Bytes bytes = {0, 0, 8, 1, 0, 0, 0, static_cast<uint8_t>(count)};
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<uint8_t>(i % 3));
  return bytes;
}

void write_gzip(const std::string& path, const Bytes& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

TEST_F(PackerTest, IdxPlainAndGzip) {
  write_bytes(folder_ / "images", idx_images(9));
  write_gzip(folder_ / "labels.gz", idx_labels(9));
  pack_idx({folder_ / "images", folder_ / "labels.gz", {}}, out());
  const Container container(out());
  ASSERT_EQ(container.count(), 9);
  EXPECT_EQ(container.height(), 4);
  EXPECT_EQ(container.width(), 5);
  EXPECT_EQ(container.class_names(), (std::vector<std::string>{"0", "1", "2"}));
  Bytes bytes;
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 9; ++i) {
    EXPECT_EQ(container.label(i), i % 3);
    container.read_sample(i, bytes);
    for (size_t p = 0; p < 60; ++p) {
      ASSERT_EQ(bytes[p], static_cast<uint8_t>((static_cast<size_t>(i) * 20 + p / 3) * 7));
      sum += bytes[p] / 255.0;
      squares += bytes[p] / 255.0 * bytes[p] / 255.0;
    }
  }
  const double mean = sum / 540;
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(container.mean()[c], mean, 1e-12);
    EXPECT_NEAR(container.std()[c], std::sqrt(squares / 540 - mean * mean), 1e-12);
  }
}

TEST_F(PackerTest, IdxRefusesDamage) {
  const IdxSource s{folder_ / "images", folder_ / "labels", {}};
  EXPECT_THROW(pack_idx(s, out()), DataError);  // missing
  write_bytes(s.images, idx_images(4));
  write_bytes(s.labels, idx_labels(3));
  EXPECT_THROW(pack_idx(s, out()), DataError);  // counts differ
  write_bytes(s.labels, idx_images(4));
  EXPECT_THROW(pack_idx(s, out()), DataError);  // images instead of labels
  write_bytes(s.labels, idx_labels(4));
  Bytes cut = idx_images(4);
  cut.pop_back();
  write_bytes(s.images, cut);
  EXPECT_THROW(pack_idx(s, out()), DataError);  // ends early
  Bytes huge = idx_images(4);
  std::fill_n(huge.begin() + 4, 12, uint8_t{0xff});
  write_bytes(s.images, huge);
  EXPECT_THROW(pack_idx(s, out()), DataError);  // hostile size
  write_bytes(s.images, idx_images(4));
  EXPECT_THROW(pack_idx({s.images, s.labels, {"only", "two"}}, out()), ConfigError);
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_NO_THROW(pack_idx({s.images, s.labels, {"a", "b", "c"}}, out()));
}

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
        "verify a --threads -1"}) {
    expect(64, arguments);
  }
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
  write_bytes(folder_ / "images", idx_images(200, 100, 100));
  write_bytes(folder_ / "labels", idx_labels(200));
  fs::create_directory(folder_ / "full");
  // A limit on the size of files, in KiB, stands for the full disk.
  const auto result =
      run_command("trap '' XFSZ; ulimit -f 1000; " + kProgram + "pack idx " +
                  (folder_ / "images ") + (folder_ / "labels ") + (folder_ / "full/out.h5"));
  EXPECT_EQ(result.code, 73) << result.output;
  EXPECT_TRUE(fs::is_empty(folder_ / "full"));
}

}  // namespace
}  // namespace resnext
