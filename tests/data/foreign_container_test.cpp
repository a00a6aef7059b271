// Files that other programs wrote, through HDF5.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "comm/common/error.h"
#include "data/container.h"
#include "data/jpeg_encoder.h"
#include "tests/data/hdf5_editor.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::Hdf5Editor;
using testing::make_image;
using testing::TemporaryFolder;

constexpr hsize_t kCount = 5, kHeight = 6, kWidth = 7;

Bytes all_pixels() {
  Bytes all;
  for (uint64_t i = 0; i < kCount; ++i) {
    const Image image = make_image(kHeight, kWidth, i);
    all.insert(all.end(), image.pixels.begin(), image.pixels.end());
  }
  return all;
}

std::vector<Bytes> all_jpegs() {
  std::vector<Bytes> all;
  for (uint64_t i = 0; i < kCount; ++i) {
    all.push_back(encode_jpeg(make_image(30 + static_cast<int64_t>(i), 40, i).view(), 90));
  }
  return all;
}

void expect_pixels(const Container& container) {
  ASSERT_EQ(container.count(), static_cast<int64_t>(kCount));
  EXPECT_EQ(container.storage(), Storage::kRaw);
  EXPECT_EQ(container.height(), static_cast<int64_t>(kHeight));
  Bytes bytes;
  for (int64_t i = 0; i < container.count(); ++i) {
    container.read_sample(i, bytes);
    EXPECT_EQ(bytes, make_image(kHeight, kWidth, static_cast<uint64_t>(i)).pixels);
    EXPECT_EQ(container.label(i), (i * 2) % 5);
  }
  EXPECT_EQ(container.classes(), 5);
  EXPECT_TRUE(container.class_names().empty());
  EXPECT_EQ(container.mean()[0], 0.485);
}

TEST(ForeignContainer, ReadsChunkedAndCompressedImages) {
  const TemporaryFolder folder;
  {
    Hdf5Editor file(folder / "a.h5", true);
    file.put_chunked("images", {kCount, kHeight, kWidth, 3}, all_pixels());
    file.put("labels", {kCount}, std::vector<int32_t>{0, 2, 4, 1, 3});
  }
  const Container container(folder / "a.h5");
  EXPECT_FALSE(container.direct());
  expect_pixels(container);
}

TEST(ForeignContainer, ReadsContiguousImagesDirectly) {
  const TemporaryFolder folder;
  {
    Hdf5Editor file(folder / "a.h5", true);
    file.put("images", {kCount, kHeight, kWidth, 3}, all_pixels());
    file.put("labels", {kCount}, Bytes{0, 2, 4, 1, 3});
  }
  const Container container(folder / "a.h5");
  EXPECT_TRUE(container.direct());
  expect_pixels(container);
}

TEST(ForeignContainer, FindsOtherNames) {
  const TemporaryFolder folder;
  {
    Hdf5Editor file(folder / "a.h5", true);
    file.put_group("train");
    file.put_chunked("train/x", {kCount, kHeight, kWidth, 3}, all_pixels());
    file.put("train/y", {kCount}, std::vector<int64_t>{0, 2, 4, 1, 3});
    file.put("notes", {2}, std::vector<double>{1, 2});
  }
  expect_pixels(Container(folder / "a.h5"));
}

TEST(ForeignContainer, ReadsVariableLengthJpeg) {
  const TemporaryFolder folder;
  const auto jpegs = all_jpegs();
  {
    Hdf5Editor file(folder / "a.h5", true);
    file.put_sequences("images", jpegs);
    file.put("labels", {kCount}, std::vector<int64_t>{0, 1, 2, 1, 0});
  }
  const Container container(folder / "a.h5");
  EXPECT_EQ(container.storage(), Storage::kJpeg);
  EXPECT_EQ(container.classes(), 3);
  Bytes bytes;
  for (size_t i = 0; i < kCount; ++i) {
    container.read_sample(static_cast<int64_t>(i), bytes);
    EXPECT_EQ(bytes, jpegs[i]);
  }
}

TEST(ForeignContainer, RefusesWhatIsAmbiguousOrMissing) {
  const TemporaryFolder folder;
  const auto write = [&](auto fill) {
    Hdf5Editor file(folder / "a.h5", true);
    fill(file);
  };
  const std::vector<int64_t> labels(kCount, 0);
  write([&](Hdf5Editor& f) {  // two that could be the images
    f.put("a", {kCount, kHeight, kWidth, 3}, all_pixels());
    f.put("b", {kCount, kHeight, kWidth, 3}, all_pixels());
    f.put("labels", {kCount}, labels);
  });
  EXPECT_THROW(Container(folder / "a.h5"), DataError);
  write([&](Hdf5Editor& f) {  // two that could be the labels
    f.put("images", {kCount, kHeight, kWidth, 3}, all_pixels());
    f.put("fine", {kCount}, labels);
    f.put("coarse", {kCount}, labels);
  });
  EXPECT_THROW(Container(folder / "a.h5"), DataError);
  write([&](Hdf5Editor& f) {  // channels first
    f.put("images", {kCount, 3, kHeight, kWidth}, all_pixels());
    f.put("labels", {kCount}, labels);
  });
  EXPECT_THROW(Container(folder / "a.h5"), DataError);
  write([&](Hdf5Editor& f) {  // a label below 0
    f.put("images", {kCount, kHeight, kWidth, 3}, all_pixels());
    f.put("labels", {kCount}, std::vector<int64_t>{0, 1, -3, 0, 0});
  });
  EXPECT_THROW(Container(folder / "a.h5"), DataError);
  write([](Hdf5Editor&) {});  // nothing at all
  EXPECT_THROW(Container(folder / "a.h5"), DataError);
}

}  // namespace
}  // namespace resnext
