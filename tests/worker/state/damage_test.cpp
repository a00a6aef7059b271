// A checkpoint with one bit or one end missing anywhere is never taken for whole.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "comm/common/error.h"
#include "tests/worker/state/support.h"
#include "worker/state/manifest.h"
#include "worker/state/sealed_json.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFiles[] = {"model.pt", "optimizer.pt", "manifest.json", "validation.json"};

class DamageTest : public testing::Test {
 protected:
  DamageTest() {
    Manifest manifest = manifest_at(1234, 5);
    manifest.progress.bucket_order = {2, 1, 0};
    const std::string name = folder_.write(manifest, {small_file("model.pt", bytes(3000, 1)),
                                                      small_file("optimizer.pt", bytes(1500, 2))});
    folder_.write_validation(name, {0.5, 75.25, 99, 37});
    save_ = root_.path() / "checkpoints" / name;
    EXPECT_TRUE(is_whole());
  }

  static std::string bytes(size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::string text(count, '\0');
    for (char& byte : text) byte = static_cast<char>(random());
    return text;
  }

  // With its validation, which a start can do without: it is made again.
  bool is_whole() const {
    try {
      return folder_.read(save_).validation.has_value();
    } catch (const CheckpointError&) {
      return false;
    }
  }

  // All files' bytes in a row: the one at `place`, and the place in it.
  std::pair<fs::path, size_t> file_at(size_t place) const {
    for (const char* name : kFiles) {
      const size_t size = fs::file_size(save_ / name);
      if (place < size) return {save_ / name, place};
      place -= size;
    }
    throw std::out_of_range("place");
  }

  size_t total() const {
    size_t sum = 0;
    for (const char* name : kFiles) sum += fs::file_size(save_ / name);
    return sum;
  }

  TemporaryFolder root_;
  CheckpointFolder folder_{posix_files(), root_.path() / "checkpoints"};
  fs::path save_;
};

TEST_F(DamageTest, EveryFlippedBitIsRecognised) {
  std::mt19937 random(1);
  int recognised = 0;
  for (int draw = 0; draw < 2000; ++draw) {
    const auto [file, byte] = file_at(random() % total());
    const size_t bit = byte * 8 + random() % 8;
    flip_bit(file, bit);
    if (is_whole()) ADD_FAILURE() << file << " bit " << bit;
    if (file.filename() != "validation.json") {
      EXPECT_THROW(folder_.read(save_), CheckpointError) << file << " bit " << bit;
    }
    ++recognised;
    flip_bit(file, bit);
  }
  EXPECT_EQ(recognised, 2000);
  EXPECT_TRUE(is_whole());
}

TEST_F(DamageTest, EveryTruncationIsRecognised) {
  std::mt19937 random(2);
  for (int draw = 0; draw < 200; ++draw) {
    const auto [file, length] = file_at(random() % total());
    const std::string before = read_text(file);
    fs::resize_file(file, length);
    if (is_whole()) ADD_FAILURE() << file << " cut to " << length;
    write_text(file, before);
  }
  EXPECT_TRUE(is_whole());
}

// The small files, where a bit may change no more than a digit: each of their bits.
TEST_F(DamageTest, EveryBitOfAManifestCounts) {
  const std::string text = read_text(save_ / "manifest.json");
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ASSERT_THROW(to_manifest(damaged, "m"), CheckpointError) << bit;
  }
}

TEST_F(DamageTest, MissingAndLongerFilesAreRecognised) {
  for (const char* name : kFiles) {
    const std::string before = read_text(save_ / name);
    write_text(save_ / name, before + " ");
    EXPECT_FALSE(is_whole()) << name;
    fs::remove(save_ / name);
    EXPECT_FALSE(is_whole()) << name;
    write_text(save_ / name, before);
  }
  EXPECT_TRUE(is_whole());
}

// A prune looks at sizes only.
TEST_F(DamageTest, SizesTellMostDamage) {
  const auto entry = folder_.entries().front();
  EXPECT_TRUE(folder_.has_all_files(entry));
  fs::resize_file(save_ / "optimizer.pt", 1499);
  EXPECT_FALSE(folder_.has_all_files(entry));
  fs::remove(save_ / "optimizer.pt");
  EXPECT_FALSE(folder_.has_all_files(entry));
}

TEST(SealedJson, KnowsItsOwnChecksum) {
  const nlohmann::ordered_json json = {{"a", 0.1}, {"b", {1, 2}}};
  const std::string text = seal(json);
  EXPECT_EQ(unseal(text, "f"), json);
  for (const std::string& other : {text + "\n", text.substr(1), std::string(), std::string("[]"),
                                   std::string("{}"), json.dump(), seal({{"a", 0.1}}) + text}) {
    EXPECT_THROW(unseal(other, "f"), CheckpointError) << other;
  }
  try {
    unseal("{}", "/folder/file.json");
    FAIL();
  } catch (const CheckpointError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("/folder/file.json: ")) << error.what();
  }
}

// Folder names need not be UTF-8.
TEST(SealedJson, TakesTextThatIsNotUtf8) {
  EXPECT_NO_THROW(unseal(seal({{"class", "caf\xe9"}}), "f"));
}

TEST(Manifest, OfAnotherVersionIsRefused) {
  for (const char* text : {R"({"format_version": 3})", R"({"format_version": "x"})",
                           R"({"format_version": 1})", R"([])", R"({})", "", "\xff{]"}) {
    EXPECT_THROW(to_manifest(text, "m"), CheckpointError) << text;
  }
}

}  // namespace
}  // namespace resnext::test
