// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/event_file.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>

#include "comm/common/error.h"
#include "data/checksum.h"

namespace resnext {
namespace {

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Little-endian bytes of a number.
template <class T>
std::string fixed(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
static_assert(std::endian::native == std::endian::little);

// Protocol buffer encoding: a key is field number * 8 + wire type.
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}

std::string double_field(int number, double value) {
  return varint(number * 8 + 1) + fixed(value);
}

std::string float_field(int number, float value) {
  return varint(number * 8 + 5) + fixed(value);
}

std::string int_field(int number, int64_t value) {
  return varint(number * 8) + varint(static_cast<uint64_t>(value));
}

std::string bytes_field(int number, std::string_view bytes) {
  return varint(number * 8 + 2) + varint(bytes.size()) + std::string(bytes);
}

std::string masked_crc(const std::string& bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  const uint32_t crc = crc32c(std::span(data, bytes.size()));
  return fixed(((crc >> 15) | (crc << 17)) + 0xa282ead8U);
}

}  // namespace

EventFile::EventFile(const std::filesystem::path& folder)
    : path_(folder / fmt::format("events.out.tfevents.{}.{}", static_cast<int64_t>(wall_time()),
                                 ::getpid())),
      stream_(path_, std::ios::binary) {
  write_record(double_field(1, wall_time()) + bytes_field(3, "brain.Event:2"));
}

void EventFile::write(int64_t step,
                      const std::vector<std::pair<std::string_view, double>>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value)));
  }
  write_record(double_field(1, wall_time()) + int_field(2, step) + bytes_field(5, summary));
}

void EventFile::write_record(const std::string& data) {
  const std::string length = fixed(static_cast<uint64_t>(data.size()));
  stream_ << length << masked_crc(length) << data << masked_crc(data) << std::flush;
  if (!stream_) {
    throw OutputError(path_, std::string("cannot be written: ") + std::strerror(errno),
                      "free space, or set log.tensorboard to false");
  }
}

}  // namespace resnext
