// Packing CIFAR and IDX files.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>

#include "comm/common/error.h"
#include "tests/data/packer_fixture.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::PackerTest;
using testing::text;
using testing::write_bytes;

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

}  // namespace
}  // namespace resnext
