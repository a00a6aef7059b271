// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/event_file.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <span>

#include "comm/common/error.h"
#include "data/container/checksum.h"

namespace resnext {
namespace {

constexpr double kGrowth = 1.1, kSmallest = 1e-12;  // of the buckets of a histogram

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

// Of real numbers, in buckets that grow by a tenth, as TensorBoard's own writers have them; empty
// where no value is finite.
std::string histogram_of(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.empty()) return "";
  std::ranges::sort(values);
  double sum = 0, squares = 0;
  for (const double value : values) sum += value, squares += value * value;
  std::string limits, counts;
  double limit = std::max(values.front(), kSmallest) * kGrowth;
  for (size_t i = 0; i < values.size(); limit *= kGrowth) {
    const size_t begin = i;
    while (i < values.size() && values[i] < limit) ++i;
    limits += fixed(limit);
    counts += fixed(static_cast<double>(i - begin));
  }
  return double_field(1, values.front()) + double_field(2, values.back()) +
         double_field(3, static_cast<double>(values.size())) + double_field(4, sum) +
         double_field(5, squares) + bytes_field(6, limits) + bytes_field(7, counts);
}

// A google.protobuf.Value.
std::string to_value(const std::variant<double, bool, std::string>& value) {
  if (const auto* number = std::get_if<double>(&value)) return double_field(2, *number);
  if (const auto* flag = std::get_if<bool>(&value)) return int_field(4, *flag ? 1 : 0);
  return bytes_field(3, std::get<std::string>(value));
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
  write_summary(step, summary);
}

void EventFile::write_histograms(int64_t step, const std::string& group,
                                 const std::vector<NamedValues>& values) {
  std::string summary;
  for (const NamedValues& named : values) {
    const std::string histogram = histogram_of(named.values);
    if (histogram.empty()) continue;
    summary += bytes_field(1, bytes_field(1, group + "/" + named.name) + bytes_field(5, histogram));
  }
  write_summary(step, summary);
}

void EventFile::write_picture(int64_t step, std::string_view tag, const Picture& picture,
                              std::string_view png) {
  constexpr int64_t kRgb = 3;
  const std::string image = int_field(1, picture.height) + int_field(2, picture.width) +
                            int_field(3, kRgb) + bytes_field(4, png);
  write_summary(step, bytes_field(1, bytes_field(1, tag) + bytes_field(4, image)));
}

void EventFile::write_start(const std::vector<HyperParameter>& parameters) {
  std::string info;
  for (const auto& [name, value] : parameters) {
    info += bytes_field(1, bytes_field(1, name) + bytes_field(2, to_value(value)));
  }
  write_hparams("_hparams_/session_start_info",
                bytes_field(3, info + double_field(5, wall_time())));
}

void EventFile::write_end(bool finished) {
  constexpr int64_t kSuccess = 1, kFailure = 2;
  const std::string info =
      int_field(1, finished ? kSuccess : kFailure) + double_field(2, wall_time());
  write_hparams("_hparams_/session_end_info", bytes_field(4, info));
}

// The plugin reads the metadata of a tensor that is empty: float32 of shape [0].
void EventFile::write_hparams(std::string_view tag, const std::string& content) {
  const std::string metadata = bytes_field(1, bytes_field(1, "hparams") + bytes_field(2, content));
  const std::string tensor = int_field(1, 1) + bytes_field(2, bytes_field(2, int_field(1, 0)));
  write_summary(
      0, bytes_field(1, bytes_field(1, tag) + bytes_field(8, tensor) + bytes_field(9, metadata)));
}

void EventFile::write_summary(int64_t step, const std::string& summary) {
  write_record(double_field(1, wall_time()) + int_field(2, step) + bytes_field(5, summary));
}

void EventFile::write_record(const std::string& data) {
  const std::lock_guard lock(mutex_);
  const std::string length = fixed(static_cast<uint64_t>(data.size()));
  stream_ << length << masked_crc(length) << data << masked_crc(data) << std::flush;
  if (!stream_) {
    throw OutputError(path_, std::string("cannot be written: ") + std::strerror(errno),
                      "free space, or set log.tensorboard to false");
  }
}

}  // namespace resnext
