// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/state_dict_zip.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstring>

namespace resnext {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kEntrySignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kZip64EndSignature = 0x06064b50;
constexpr uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr uint64_t kLocalBytes = 30, kEntryBytes = 46, kEndBytes = 22;
constexpr uint64_t kZip64EndBytes = 56, kLocatorBytes = 20, kMaxCommentBytes = 65535;
constexpr uint32_t kInZip64 = 0xFFFFFFFF;
constexpr uint16_t kZip64Field = 1;
constexpr uint64_t kMaxDirectoryBytes = uint64_t{64} << 20;

// Little-endian integer at `offset`; the callers have checked the length.
template <typename T>
T field(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Data of the zip64 extra field, empty if there is none.
std::string_view zip64_extra(std::string_view extra) {
  while (extra.size() >= 4) {
    const auto id = field<uint16_t>(extra, 0);
    const size_t length = field<uint16_t>(extra, 2);
    if (length > extra.size() - 4) break;
    if (id == kZip64Field) return extra.substr(4, length);
    extra.remove_prefix(4 + length);
  }
  return {};
}

}  // namespace

StateDictZip::StateDictZip(const WeightsInput& input) : input_(input) {
  const Directory place = locate_directory();
  if (place.size > kMaxDirectoryBytes) input_.fail("is corrupt: its directory is too large");
  const std::string directory = input_.read(place.offset, place.size);
  size_t cursor = 0;
  for (uint64_t entry = 0; entry < place.entries; ++entry) cursor = add_record(directory, cursor);
  uint64_t total = 0;
  for (const auto& [name, record] : records_) total += record.size;
  if (total > input_.size()) input_.fail("is corrupt: its records overlap");
  if (cursor != directory.size()) input_.fail("is corrupt: its directory has extra bytes");
}

bool StateDictZip::recognises(const WeightsInput& input) {
  return input.size() >= 4 && field<uint32_t>(input.read(0, 4), 0) == kLocalSignature;
}

void StateDictZip::read(std::string_view name, void* target) const {
  const Record& record = find(name);
  input_.read(data_offset(name, record), target, record.size);
  const uint32_t crc = crc32_gzip_refl(0, static_cast<uint8_t*>(target), record.size);
  if (record.crc != 0 && crc != record.crc) {
    input_.fail("is corrupt: the checksum of its record '" + std::string(name) + "' differs");
  }
}

std::string StateDictZip::read(std::string_view name) const {
  std::string bytes(size_of(name), '\0');
  read(name, bytes.data());
  return bytes;
}

StateDictZip::Directory StateDictZip::locate_directory() const {
  const uint64_t length = std::min(input_.size(), kEndBytes + kMaxCommentBytes);
  const uint64_t start = input_.size() - length;
  const std::string tail = input_.read(start, length);
  for (uint64_t back = kEndBytes; back <= length; ++back) {
    const uint64_t at = length - back;
    if (field<uint32_t>(tail, at) != kEndSignature) continue;
    if (field<uint16_t>(tail, at + 20) != back - kEndBytes) continue;
    if (at >= kLocatorBytes &&
        field<uint32_t>(tail, at - kLocatorBytes) == kZip64LocatorSignature) {
      return read_zip64_end(start + at - kLocatorBytes);
    }
    return {field<uint32_t>(tail, at + 16), field<uint32_t>(tail, at + 12),
            field<uint16_t>(tail, at + 10)};
  }
  input_.fail("is truncated: the directory at its end is missing");
}

StateDictZip::Directory StateDictZip::read_zip64_end(uint64_t locator_offset) const {
  const std::string locator = input_.read(locator_offset, kLocatorBytes);
  const std::string end = input_.read(field<uint64_t>(locator, 8), kZip64EndBytes);
  if (field<uint32_t>(end, 0) != kZip64EndSignature) {
    input_.fail("is corrupt: its zip64 directory is not where it should be");
  }
  return {field<uint64_t>(end, 48), field<uint64_t>(end, 40), field<uint64_t>(end, 32)};
}

size_t StateDictZip::add_record(std::string_view directory, size_t cursor) {
  const std::string_view entry = directory.substr(cursor);
  if (entry.size() < kEntryBytes || field<uint32_t>(entry, 0) != kEntrySignature) {
    input_.fail("is corrupt: its directory is damaged");
  }
  const size_t name_length = field<uint16_t>(entry, 28), extra_length = field<uint16_t>(entry, 30);
  const size_t length = kEntryBytes + name_length + extra_length + field<uint16_t>(entry, 32);
  if (length > entry.size()) input_.fail("is corrupt: its directory is damaged");
  const std::string_view path = entry.substr(kEntryBytes, name_length);
  const std::string name(path.substr(path.find('/') + 1));  // without a folder: the whole
  uint64_t sizes[] = {field<uint32_t>(entry, 24), field<uint32_t>(entry, 20),
                      field<uint32_t>(entry, 42)};
  std::string_view wide = zip64_extra(entry.substr(kEntryBytes + name_length, extra_length));
  for (uint64_t& value : sizes) {
    if (value != kInZip64 || wide.size() < 8) continue;
    value = field<uint64_t>(wide, 0);
    wide.remove_prefix(8);
  }
  if (name.starts_with("code/")) input_.fail("is a TorchScript program, which is not run");
  const bool encrypted = (field<uint16_t>(entry, 8) & 1) != 0;
  if (encrypted || field<uint16_t>(entry, 10) != 0 || sizes[0] != sizes[1]) {
    input_.fail("has a compressed or encrypted record '" + name + "', which torch.save never has");
  }
  if (sizes[0] > input_.size()) input_.fail("is corrupt: '" + name + "' is larger than the file");
  if (!records_.try_emplace(name, Record{sizes[2], sizes[0], field<uint32_t>(entry, 16)}).second) {
    input_.fail("is corrupt: it has two records '" + name + "'");
  }
  return cursor + length;
}

const StateDictZip::Record& StateDictZip::find(std::string_view name) const {
  const auto found = records_.find(name);
  if (found == records_.end()) input_.fail("has no record '" + std::string(name) + "'");
  return found->second;
}

uint64_t StateDictZip::data_offset(std::string_view name, const Record& record) const {
  const std::string header = input_.read(record.header_offset, kLocalBytes);
  const size_t name_length = field<uint16_t>(header, 26);
  const bool matches = field<uint32_t>(header, 0) == kLocalSignature &&
                       input_.read(record.header_offset + kLocalBytes, name_length).ends_with(name);
  if (!matches) input_.fail("is corrupt: the header of '" + std::string(name) + "' is damaged");
  return record.header_offset + kLocalBytes + name_length + field<uint16_t>(header, 28);
}

}  // namespace resnext
