// Containers whose datasets or attributes are not those of the format: what is wrong is named.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "comm/common/error.h"
#include "data/container/container.h"
#include "tests/data/hdf5_editor.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::Hdf5Editor;
using testing::TemporaryFolder;

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

}  // namespace
}  // namespace resnext
