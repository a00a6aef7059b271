// Containers of our own format: what is written is read, and what is wrong is named.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <limits>
#include <thread>

#include "comm/common/error.h"
#include "data/checksum.h"
#include "data/image_decoder.h"
#include "data/keyed_random.h"
#include "tests/data/hdf5_editor.h"
#include "tests/data/support.h"

// HDF5 1.10 itself leaks when it refuses some damaged files; leaks of ours are still found.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}

namespace resnext {
namespace {

using testing::Bytes;
using testing::Hdf5Editor;
using testing::make_image;
using testing::TemporaryFolder;

TEST(Checksum, EqualsThePublishedValue) {
  const std::string text = "123456789";
  EXPECT_EQ(crc32c(Bytes(text.begin(), text.end())), 0xe3069283U);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Container, ReturnsTheRawImagesThatWereWritten) {
  const TemporaryFolder folder;
  testing::write_raw_container(folder / "a.h5", 7, 5, 6, 3);
  const Container container(folder / "a.h5");
  EXPECT_EQ(container.storage(), Storage::kRaw);
  EXPECT_EQ(container.count(), 7);
  EXPECT_EQ(container.classes(), 3);
  EXPECT_EQ(container.class_names()[2], "class 2");
  EXPECT_EQ(container.height(), 5);
  EXPECT_EQ(container.width(), 6);
  EXPECT_EQ(container.mean(), (std::array<double, 3>{0.1, 0.2, 0.3}));
  EXPECT_EQ(container.std(), (std::array<double, 3>{0.4, 0.5, 0.6}));
  EXPECT_TRUE(container.direct());
  Bytes bytes;
  for (int64_t i = 6; i >= 0; --i) {
    container.read_sample(i, bytes);
    EXPECT_EQ(bytes, make_image(5, 6, static_cast<uint64_t>(i)).pixels);
    EXPECT_EQ(container.label(i), i % 3);
  }
}

TEST(Container, ReturnsTheEncodedImagesThatWereWritten) {
  const TemporaryFolder folder;
  testing::write_jpeg_container(folder / "a.h5", 5, 40, 50, 2);
  const Container container(folder / "a.h5");
  EXPECT_EQ(container.storage(), Storage::kJpeg);
  EXPECT_EQ(container.height(), 0);
  EXPECT_TRUE(container.direct());
  Bytes bytes;
  for (int64_t i = 0; i < 5; ++i) {
    container.read_sample(i, bytes);
    Image image;
    decode_image(bytes, image);
    EXPECT_LT(
        testing::difference(image.view(), make_image(40, 50, static_cast<uint64_t>(i)).view()).mean,
        12);
  }
}

TEST(Container, KeepsManyClassNames) {
  const TemporaryFolder folder;
  ContainerDescription description;
  description.height = description.width = 1;
  for (int i = 0; i < 22000; ++i)
    description.class_names.push_back("n" + std::to_string(i) + " \xc3\xa9");
  ContainerWriter writer(folder / "a.h5");
  writer.append(Bytes{1, 2, 3}, 21999);
  writer.finish(description);
  EXPECT_EQ(Container(folder / "a.h5").class_names(), description.class_names);
}

TEST(Container, IsReadByManyThreads) {
  const TemporaryFolder folder;
  testing::write_raw_container(folder / "a.h5", 20, 8, 8, 2);
  const Container container(folder / "a.h5");
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Bytes bytes;
      for (int64_t i = 0; i < 200; ++i) {
        container.read_sample(i % 20, bytes);
        ASSERT_EQ(bytes, make_image(8, 8, static_cast<uint64_t>(i % 20)).pixels);
      }
    });
  }
}

TEST(Container, NamesTheSampleWhoseBitFlipped) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  testing::write_raw_container(path, 6, 16, 16, 2);
  Bytes file = testing::read_bytes(path);
  const Bytes pixels = make_image(16, 16, 3).pixels;
  *(std::search(file.begin(), file.end(), pixels.begin(), pixels.end()) + 100) ^= 0x10;
  testing::write_bytes(path, file);
  const Container container(path);
  Bytes bytes;
  for (int64_t i = 0; i < 6; ++i) {
    if (i != 3) {
      EXPECT_NO_THROW(container.read_sample(i, bytes));
      continue;
    }
    try {
      container.read_sample(i, bytes);
      FAIL() << "the damage was not noticed";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("sample 3"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    }
  }
  EXPECT_NO_THROW(Container(path, false).read_sample(3, bytes)) << "checksums can be turned off";
}

// Each bit of the labels and of the names.
TEST(Container, NoticesEachFlippedBitOfLabelsAndNames) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  ContainerDescription description;
  description.height = description.width = 1;
  for (int i = 0; i < 128; ++i) description.class_names.push_back("name" + std::to_string(i));
  const std::vector<int64_t> labels = {3, 1, 2, 64};
  {
    ContainerWriter writer(path);
    for (const int64_t label : labels) writer.append(Bytes{1, 2, 3}, label);
    writer.finish(description);
  }
  const Bytes good = testing::read_bytes(path);
  const auto* bytes = reinterpret_cast<const uint8_t*>(labels.data());
  const std::string name = "name77";
  const auto damage = [&](auto begin, auto end) {
    const auto at = std::search(good.begin(), good.end(), begin, end);
    ASSERT_NE(at, good.end());
    for (std::ptrdiff_t bit = 0; bit < 8 * (end - begin); ++bit) {
      Bytes file = good;
      file[static_cast<size_t>(at - good.begin() + bit / 8)] ^= static_cast<uint8_t>(1 << bit % 8);
      testing::write_bytes(path, file);
      EXPECT_THROW(Container{path}, DataError) << "bit " << bit;
    }
  };
  damage(bytes, bytes + labels.size() * sizeof(int64_t));
  damage(name.begin(), name.end());
}

// As an earlier program wrote it.
TEST(Container, ReadsFormatVersion1) {
  const TemporaryFolder folder;
  testing::write_raw_container(folder / "a.h5", 7, 5, 6, 3);
  {
    Hdf5Editor editor(folder / "a.h5");
    editor.put_attribute("format_version", std::vector<int64_t>{1});
    editor.remove_attribute("description_crc32c");
  }
  const Container container(folder / "a.h5");
  EXPECT_EQ(container.label(5), 2);
  EXPECT_EQ(container.class_names()[2], "class 2");
}

TEST(Container, AdoptsTheClassesOfAnotherSet) {
  const TemporaryFolder folder;
  testing::write_raw_container(folder / "a.h5", 5, 2, 2, 3);
  Container container(folder / "a.h5");
  EXPECT_EQ(container.class_counts(), (std::vector<int64_t>{2, 2, 1}));
  container.adopt_classes({"z", "class 2", "class 0", "class 1"}, {2, 3, 1});
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(container.class_names()[static_cast<size_t>(container.label(i))],
              "class " + std::to_string(i % 3));
  }
  EXPECT_EQ(container.class_counts(), (std::vector<int64_t>{0, 1, 2, 2}));
}

TEST(ContainerWriter, RefusesClassesThatShareANameOrHaveNone) {
  const TemporaryFolder folder;
  for (const auto& names : {ClassNames{"a", "b", "a"}, ClassNames{"a", ""}}) {
    ContainerWriter writer(folder / "a.h5");
    writer.append(Bytes{1, 2, 3}, 0);
    ContainerDescription description;
    description.height = description.width = 1;
    description.class_names = names;
    EXPECT_THROW(writer.finish(description), DataError);
  }
}

TEST(Container, RefusesSamplesOutOfRange) {
  const TemporaryFolder folder;
  testing::write_raw_container(folder / "a.h5", 2, 2, 2, 2);
  const Container container(folder / "a.h5");
  Bytes bytes;
  EXPECT_THROW(container.read_sample(2, bytes), DataError);
  EXPECT_THROW(container.read_sample(-1, bytes), DataError);
}

TEST(Container, RefusesMissingFilesAndFolders) {
  const TemporaryFolder folder;
  EXPECT_THROW(Container(folder / "missing.h5"), DataError);
  EXPECT_THROW(Container(folder / ""), DataError);
}

TEST(Container, RefusesFilesCutAnywhere) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  for (const bool raw : {true, false}) {
    raw ? testing::write_raw_container(path, 9, 20, 20, 3)
        : testing::write_jpeg_container(path, 9, 20, 20, 3);
    const Bytes file = testing::read_bytes(path);
    for (const size_t size :
         {size_t{0}, size_t{1}, size_t{8}, size_t{100}, size_t{2048}, size_t{4096}, size_t{5000},
          file.size() / 2, file.size() - 4096, file.size() - 1}) {
      testing::write_bytes(path,
                           Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)));
      EXPECT_THROW(Container{path}, DataError) << size << " of " << file.size();
    }
  }
}

// One way to spoil a file: what, and the word that the message must contain.
struct Spoiling {
  const char* name;
  const char* word;
  std::function<void(Hdf5Editor&)> spoil;
};

void expect_refused(bool raw, const Spoiling& spoiling) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  raw ? testing::write_raw_container(path, 4, 6, 6, 2)
      : testing::write_jpeg_container(path, 4, 6, 6, 2);
  {
    Hdf5Editor editor(path);
    spoiling.spoil(editor);
  }
  try {
    const Container container(path);
    FAIL() << spoiling.name << " was not noticed";
  } catch (const DataError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(spoiling.word), std::string::npos) << spoiling.name << ": " << message;
    EXPECT_NE(message.find(path), std::string::npos) << spoiling.name << ": " << message;
  }
}

// Each is put into a raw file by itself.
void expect_all_refused(std::initializer_list<Spoiling> spoilings) {
  for (const Spoiling& spoiling : spoilings) expect_refused(true, spoiling);
}

TEST(Container, RefusesMalformedImages) {
  const Bytes pixels(4 * 6 * 6 * 4, 0);
  const std::vector<double> numbers(4 * 6 * 6 * 3, 0);
  expect_all_refused({
      {"no images", "images", [](Hdf5Editor& e) { e.remove("images"); }},
      {"images of float", "images",
       [&](Hdf5Editor& e) {
         e.put("images", {4, 6, 6, 3}, numbers);
       }},
      {"images of rank 3", "images",
       [&](Hdf5Editor& e) {
         e.put("images", {4, 6, 6}, pixels);
       }},
      {"four channels", "[N,H,W,3]",
       [&](Hdf5Editor& e) {
         e.put("images", {4, 6, 6, 4}, pixels);
       }},
      {"no image at all", "images",
       [&](Hdf5Editor& e) {
         e.put("images", {0, 6, 6, 3}, pixels);
       }},
      {"height 0", "images",
       [&](Hdf5Editor& e) {
         e.put("images", {4, 0, 6, 3}, pixels);
       }},
      {"more images than labels", "labels",
       [&](Hdf5Editor& e) {
         e.put("images", {5, 5, 5, 3}, pixels);
       }},
      {"chunked", "contiguous",
       [&](Hdf5Editor& e) {
         e.put_chunked("images", {4, 6, 6, 3}, pixels);
       }},
      {"images is a group", "images", [](Hdf5Editor& e) { e.put_group("images"); }},
  });
}

TEST(Container, RefusesMalformedLabels) {
  expect_all_refused({
      {"no labels", "labels", [](Hdf5Editor& e) { e.remove("labels"); }},
      {"few labels", "labels",
       [](Hdf5Editor& e) {
         e.put("labels", {3}, std::vector<int64_t>{0, 1, 0});
       }},
      {"labels of float", "labels",
       [](Hdf5Editor& e) { e.put("labels", {4}, std::vector<double>(4)); }},
      {"labels of rank 2", "labels",
       [](Hdf5Editor& e) {
         e.put("labels", {4, 1}, std::vector<int64_t>(4));
       }},
      {"negative label", "label -1 of sample 2",
       [](Hdf5Editor& e) {
         e.put("labels", {4}, std::vector<int64_t>{0, 1, -1, 0});
       }},
      {"label too large", "label 2 of sample 1",
       [](Hdf5Editor& e) {
         e.put("labels", {4}, std::vector<int64_t>{0, 2, 1, 0});
       }},
      {"another label", "the checksum of labels",
       [](Hdf5Editor& e) {
         e.put("labels", {4}, std::vector<int64_t>{0, 1, 1, 1});
       }},
  });
}

TEST(Container, RefusesWrongChecksums) {
  expect_all_refused({
      {"no checksums", "crc32c", [](Hdf5Editor& e) { e.remove("crc32c"); }},
      {"few checksums", "crc32c",
       [](Hdf5Editor& e) { e.put("crc32c", {3}, std::vector<uint32_t>(3)); }},
      {"wide checksums", "crc32c",
       [](Hdf5Editor& e) { e.put("crc32c", {4}, std::vector<int64_t>(4)); }},
      {"no checksum of the description", "description_crc32c",
       [](Hdf5Editor& e) { e.remove_attribute("description_crc32c"); }},
      {"another mean", "the checksum of labels",
       [](Hdf5Editor& e) {
         e.put_attribute("mean", std::vector<double>{0.1, 0.2, 0.31});
       }},
  });
}

TEST(Container, RefusesImpossibleMeanAndStd) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_all_refused({
      {"mean of 0..255", "divide it by 255",
       [](Hdf5Editor& e) {
         e.put_attribute("mean", std::vector<double>{123.7, 116.3, 103.5});
       }},
      {"std of 0..255", "divide it by 255",
       [](Hdf5Editor& e) {
         e.put_attribute("std", std::vector<double>{58.4, 57.1, 57.4});
       }},
      {"negative mean", "0..1",
       [](Hdf5Editor& e) {
         e.put_attribute("mean", std::vector<double>{0.1, -0.1, 0.1});
       }},
      {"std NaN", "std",
       [&](Hdf5Editor& e) {
         e.put_attribute("std", std::vector<double>{1, nan, 1});
       }},
      {"no mean", "mean", [](Hdf5Editor& e) { e.remove_attribute("mean"); }},
      {"two means", "mean",
       [](Hdf5Editor& e) {
         e.put_attribute("mean", std::vector<double>{0, 0});
       }},
      {"mean NaN", "mean",
       [&](Hdf5Editor& e) {
         e.put_attribute("mean", std::vector<double>{0, nan, 0});
       }},
      {"std 0", "std",
       [](Hdf5Editor& e) {
         e.put_attribute("std", std::vector<double>{1, 0, 1});
       }},
  });
}

TEST(Container, RefusesWrongAttributes) {
  expect_all_refused({
      {"version 3", "format_version",
       [](Hdf5Editor& e) { e.put_attribute("format_version", std::vector<int64_t>{3}); }},
      {"version 0", "format_version",
       [](Hdf5Editor& e) { e.put_attribute("format_version", std::vector<int64_t>{0}); }},
      {"version of float", "format_version",
       [](Hdf5Editor& e) { e.put_attribute("format_version", std::vector<double>{1}); }},
      {"no storage", "storage", [](Hdf5Editor& e) { e.remove_attribute("storage"); }},
      {"wrong storage", "storage", [](Hdf5Editor& e) { e.put_attribute("storage", "jpeg"); }},
      {"storage of int", "storage",
       [](Hdf5Editor& e) { e.put_attribute("storage", std::vector<int64_t>{1}); }},
      {"no class names", "class_names", [](Hdf5Editor& e) { e.remove_attribute("class_names"); }},
      {"class names of int", "class_names",
       [](Hdf5Editor& e) {
         e.put_attribute("class_names", std::vector<int64_t>{1, 2});
       }},
  });
}

TEST(Container, RefusesMalformedJpegFiles) {
  const auto put_offsets = [](std::vector<uint64_t> offsets) {
    return [offsets](Hdf5Editor& e) { e.put("offsets", {offsets.size()}, offsets); };
  };
  const auto with_images = [](std::vector<uint64_t> offsets) {
    return [offsets](Hdf5Editor& e) {
      e.put("images", {40}, Bytes(40, 1));
      e.put("offsets", {offsets.size()}, offsets);
    };
  };
  const Spoiling spoilings[] = {
      {"no offsets", "offsets", [](Hdf5Editor& e) { e.remove("offsets"); }},
      {"empty offsets", "offsets", put_offsets({})},
      {"end missing", "offsets", with_images({0, 10, 20, 30})},
      {"not ascending", "index 1", with_images({0, 20, 10, 30, 40})},
      {"empty sample", "index 2", with_images({0, 10, 20, 20, 40})},
      {"late begin", "offsets", with_images({1, 10, 20, 30, 40})},
      {"beyond the end", "offsets", with_images({0, 10, 20, 30, 41})},
      {"overflow", "offsets", with_images({0, 10, 20, ~uint64_t{0}, 40})},
      {"fewer than labels", "labels", with_images({0, 10, 20, 40})},
      {"offsets of float", "offsets",
       [](Hdf5Editor& e) { e.put("offsets", {5}, std::vector<double>(5)); }},
      {"offsets of rank 2", "offsets",
       [](Hdf5Editor& e) {
         e.put("offsets", {5, 1}, std::vector<int64_t>(5));
       }},
  };
  for (const Spoiling& spoiling : spoilings) expect_refused(false, spoiling);
}

TEST(Container, RefusesFilesThatAreNotHdf5) {
  const TemporaryFolder folder;
  const std::string text = "this is not HDF5";
  testing::write_bytes(folder / "a", Bytes(text.begin(), text.end()));
  testing::write_bytes(folder / "b", Bytes(100000, 0));
  testing::write_bytes(folder / "c", {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'});
  for (const char* name : {"a", "b", "c"}) EXPECT_THROW(Container(folder / name), DataError);
}

// Any four damaged bytes of the structures: opened or refused, never a crash.
TEST(Container, SurvivesRandomDamageOfTheStructures) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  testing::write_jpeg_container(path, 3, 8, 8, 2);
  const Bytes good = testing::read_bytes(path);
  KeyedRandom random(RandomUse::kAugment, 7, 0, 0);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    Bytes bytes = good;
    for (int n = 0; n < 4; ++n) {
      size_t at = random.below(bytes.size());
      if (n % 2 == 0) at = random.below(1024);  // superblock and root group
      bytes[at] = static_cast<uint8_t>(random.next());
    }
    testing::write_bytes(path, bytes);
    try {
      const Container container(path);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 20);
}

TEST(ContainerWriter, LeavesNothingBehindUnlessFinished) {
  const TemporaryFolder folder;
  {
    ContainerWriter writer(folder / "a.h5");
    writer.append(Bytes(3), 0);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
  ContainerWriter empty(folder / "b.h5");
  EXPECT_THROW(empty.finish({}), DataError);
}

TEST(ContainerWriter, ReportsFoldersThatDoNotExist) {
  const TemporaryFolder folder;
  EXPECT_THROW(ContainerWriter(folder / "missing/a.h5"), OutputError);
}

// A limit on the size of files stands for the full disk: both fail in write().
TEST(ContainerWriter, ReportsAFullDisk) {
  const TemporaryFolder folder;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1 << 20, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(
      {
        ContainerWriter writer(folder / "a.h5");
        for (int i = 0; i < 20; ++i) writer.append(Bytes(1 << 20), 0);
        writer.finish({});
      },
      OutputError);
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
}

}  // namespace
}  // namespace resnext
