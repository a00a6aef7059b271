// Containers of our own format: what is written is read.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/container.h"

#include <gtest/gtest.h>

#include <thread>

#include "comm/common/error.h"
#include "data/container/checksum.h"
#include "data/image/image_decoder.h"
#include "tests/data/hdf5_editor.h"
#include "tests/data/support.h"

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

TEST(Container, RefusesSamplesOutOfRange) {
  const TemporaryFolder folder;
  testing::write_raw_container(folder / "a.h5", 2, 2, 2, 2);
  const Container container(folder / "a.h5");
  Bytes bytes;
  EXPECT_THROW(container.read_sample(2, bytes), DataError);
  EXPECT_THROW(container.read_sample(-1, bytes), DataError);
}

}  // namespace
}  // namespace resnext
