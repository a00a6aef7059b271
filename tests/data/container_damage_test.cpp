// Containers with damaged bytes, cut, or no containers at all: what is wrong is named.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>

#include "comm/common/error.h"
#include "data/container/container.h"
#include "data/keyed_random.h"
#include "tests/data/support.h"

// HDF5 1.10 itself leaks when it refuses some damaged files; leaks of ours are still found.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}

namespace resnext {
namespace {

using testing::Bytes;
using testing::make_image;
using testing::TemporaryFolder;

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

}  // namespace
}  // namespace resnext
