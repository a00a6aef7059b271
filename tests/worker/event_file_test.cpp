// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/event_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

// CRC-32C bit by bit, masked as TFRecord does.
uint32_t masked_crc(const std::string& bytes) {
  uint32_t crc = 0xffffffffU;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78U : 0);
  }
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

template <class T>
T take(std::istream& stream) {
  T value{};
  stream.read(reinterpret_cast<char*>(&value), sizeof value);
  return value;
}

std::vector<std::string> records_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<std::string> records;
  while (stream.peek() != EOF) {
    const auto length = take<uint64_t>(stream);
    EXPECT_EQ(take<uint32_t>(stream), masked_crc({reinterpret_cast<const char*>(&length), 8}));
    std::string data(length, '\0');
    stream.read(data.data(), static_cast<std::streamsize>(length));
    EXPECT_EQ(take<uint32_t>(stream), masked_crc(data));
    records.push_back(data);
  }
  return records;
}

TEST(EventFile, HoldsCheckedRecordsThatTensorBoardReads) {
  const fs::path folder = fs::temp_directory_path() / ("events_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  EventFile(folder).write(300, {{"a", 1.0}, {"b", -2.0}});
  const auto records = records_of(fs::directory_iterator(folder)->path());
  ASSERT_EQ(records.size(), 2U);
  // wall_time (field 1, double), then file_version (3) or step (2) and summary (5).
  EXPECT_EQ(records[0].substr(9),
            "\x1a\x0d"
            "brain.Event:2");
  const std::string expected(
      "\x10\xac\x02\x2a\x14"  // step 300; 20 bytes
      "\x0a\x08\x0a\x01"
      "a\x15\x00\x00\x80\x3f"  // value: "a", 1.0f
      "\x0a\x08\x0a\x01"
      "b\x15\x00\x00\x00\xc0",
      25);
  EXPECT_EQ(records[1].substr(9), expected);
  fs::remove_all(folder);
}

TEST(EventFile, SaysWhenItCannotBeWritten) {
  EXPECT_THROW(EventFile("/dev/null/folder"), OutputError);
}

}  // namespace
}  // namespace resnext
