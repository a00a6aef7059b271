// Files that other programs wrote, through HDF5.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "comm/common/error.h"
#include "data/container/container.h"
#include "data/image/jpeg_encoder.h"
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

// Opens a file of images that `fill` writes, and five labels.
template <typename Fill>
std::string refusal_of(const TemporaryFolder& folder, const Fill& fill) {
  const std::string path = folder / "set.h5";
  {
    Hdf5Editor file(path, true);
    file.put("labels", {kCount}, std::vector<int64_t>{0, 2, 4, 1, 3});
    fill(file);
  }
  try {
    expect_pixels(Container(path));
    return "";
  } catch (const DataError& error) {
    return error.what();
  }
}

#define EXPECT_WORD(text, word) \
  EXPECT_NE(std::string(text).find(word), std::string::npos) << text << " lacks " << word

// As people store encoded images, in ways that are not read: what there is, and what would be.
TEST(ForeignContainer, TellsWhatItsImagesAreAndShouldBe) {
  const TemporaryFolder folder;
  const std::string text = refusal_of(folder, [](Hdf5Editor& f) {
    f.put_texts("images", {"/9j/4AAQ", "", "", "", ""});
  });
  EXPECT_WORD(text, "set.h5:images: is text [5], and must be");
  EXPECT_WORD(text, "vlen_dtype");
  EXPECT_WORD(refusal_of(folder,
                         [](Hdf5Editor& f) {
                           f.put("images", {5, 40}, Bytes(200));
                         }),
              "is numbers [5,40]");
  const std::string each = refusal_of(folder, [](Hdf5Editor& f) {
    for (const char* name : {"a.jpg", "b.jpg"}) f.put(name, {40}, Bytes(40));
  });
  EXPECT_WORD(each, "no dataset could be the images: there is a.jpg, b.jpg, labels");
  EXPECT_WORD(each, "pack imagefolder");
}

// HDF5 would read zeros.
TEST(ForeignContainer, RefusesWhatWasNeverWritten) {
  const TemporaryFolder folder;
  const std::vector<hsize_t> dims = {kCount, kHeight, kWidth, 3};
  EXPECT_WORD(refusal_of(folder, [&](Hdf5Editor& f) { f.put_unwritten("images", dims, false); }),
              "never written");
  EXPECT_WORD(refusal_of(folder, [&](Hdf5Editor& f) { f.put_unwritten("images", dims, true); }),
              "only 0 of its 5 chunks");
  const Bytes pixels = all_pixels();
  const auto first = [&](hsize_t count) {
    return [&, count](Hdf5Editor& f) {
      f.put_unwritten("images", dims, true);
      f.fill_first(
          "images", count,
          Bytes(pixels.begin(), pixels.begin() + static_cast<long>(count * kHeight * kWidth * 3)));
    };
  };
  EXPECT_WORD(refusal_of(folder, first(4)), "only 4 of its 5 chunks");
  EXPECT_EQ(refusal_of(folder, first(5)), "");
  EXPECT_WORD(refusal_of(folder,
                         [&](Hdf5Editor& f) {
                           f.put("images", dims, pixels);
                           f.put_unwritten("labels", {kCount}, false);
                         }),
              "labels: is not complete");
}

TEST(ForeignContainer, ReadsVirtualDatasetsWhoseSourcesAreThere) {
  const TemporaryFolder folder;
  const std::vector<hsize_t> dims = {kCount, kHeight, kWidth, 3};
  const Bytes pixels = all_pixels();
  const auto cut = pixels.begin() + 2 * kHeight * kWidth * 3;
  const auto write = [&](const std::string& name, hsize_t count, const Bytes& bytes) {
    Hdf5Editor(folder / name, true).put("x", {count, kHeight, kWidth, 3}, bytes);
  };
  const auto joined = [&](Hdf5Editor& f) {
    f.put_virtual("images", dims, {{"a.h5", "x", 2}, {"b.h5", "x", 3}});
  };
  write("a.h5", 2, Bytes(pixels.begin(), cut));
  EXPECT_WORD(refusal_of(folder, joined), "its source b.h5 is not there");
  write("b.h5", 3, Bytes(cut, pixels.end()));
  EXPECT_EQ(refusal_of(folder, joined), "");
  write("b.h5", 2, Bytes(cut, pixels.end()));
  EXPECT_WORD(refusal_of(folder, joined), "b.h5:x is too short");
  Hdf5Editor(folder / "b.h5", true).put("y", {3}, Bytes{1, 2, 3});
  EXPECT_WORD(refusal_of(folder, joined), "b.h5:x is not there");
  Hdf5Editor(folder / "b.h5", true).put_unwritten("x", {3, kHeight, kWidth, 3}, false);
  EXPECT_WORD(refusal_of(folder, joined), "b.h5:x, it was never written");
  write("b.h5", 3, Bytes(cut, pixels.end()));
  EXPECT_WORD(refusal_of(folder,
                         [&](Hdf5Editor& f) {
                           f.put_virtual("images", dims, {{"b.h5", "x", 3}});
                         }),
              "of its 630 elements have a source");
  EXPECT_EQ(refusal_of(folder,
                       [&](Hdf5Editor& f) {
                         f.put("pixels", dims, pixels);
                         f.put_virtual("images", dims, {{".", "/pixels", kCount}});
                       }),
            "");
}

TEST(ForeignContainer, ReadsExternalFilesThatAreWhole) {
  const TemporaryFolder folder;
  const Bytes pixels = all_pixels();
  const auto outside = [&](Hdf5Editor& f) {
    f.put_external("images", {kCount, kHeight, kWidth, 3}, folder / "pixels", pixels.size());
  };
  EXPECT_WORD(refusal_of(folder, outside), "pixels is not there");
  testing::write_bytes(folder / "pixels", pixels);
  EXPECT_EQ(refusal_of(folder, outside), "");
  testing::write_bytes(folder / "pixels", Bytes(pixels.begin(), pixels.end() - 1));
  EXPECT_WORD(refusal_of(folder, outside), "pixels is too short");
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
  write([&](Hdf5Editor& f) {  // two channels
    f.put("images", {kCount, kHeight, kWidth, 2}, all_pixels());
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
