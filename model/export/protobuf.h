// Messages in the wire format of Protocol Buffers, written field by field.
//
// A field is a key, (number << 3) + type, and its value: a varint (type 0), 4 bytes (5), or a
// length and so many bytes (2), which texts and messages are
// (protobuf.dev/programming-guides/encoding). Pure; std only.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace resnext {

class ProtoMessage {
 public:
  // Negative numbers take ten bytes, as int64 does.
  ProtoMessage& number(int field, int64_t value) {
    key(field, 0);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  ProtoMessage& real(int field, float value) {
    key(field, 5);
    for (auto bits = std::bit_cast<uint32_t>(value), i = 0U; i < 4; ++i, bits >>= 8) {
      bytes_.push_back(static_cast<char>(bits & 0xff));
    }
    return *this;
  }
  ProtoMessage& text(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  ProtoMessage& message(int field, const ProtoMessage& value) { return text(field, value.bytes_); }

  const std::string& bytes() const { return bytes_; }

 private:
  void key(int field, int type) { varint(static_cast<uint64_t>(field) << 3 | type); }
  void varint(uint64_t value) {
    for (; value > 0x7f; value >>= 7) bytes_.push_back(static_cast<char>((value & 0x7f) | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

}  // namespace resnext
