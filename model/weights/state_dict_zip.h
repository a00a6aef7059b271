// The zip container of torch.save(): finds its records and checks their CRC-32.
//
// PyTorch's own reader (caffe2/serialize) skips the CRC and trusts declared sizes; this one does
// neither: only stored records inside the file are accepted. Layout: PKWARE APPNOTE 6.3.9, sections
// 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (ends), 4.5.3 (zip64).
// A CRC of 0 means none (torch.serialization.set_crc32_options(False)).
// Local; one thread at a time. Throws CheckpointError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "model/weights/weights_input.h"

namespace resnext {

class StateDictZip {
 public:
  // `input` must outlive this object.
  explicit StateDictZip(const WeightsInput& input);

  // Does the file begin like a zip container?
  static bool recognises(const WeightsInput& input);

  // Names are without the container's top folder: "data.pkl", "data/0".
  bool has(std::string_view name) const { return records_.contains(name); }
  uint64_t size_of(std::string_view name) const { return find(name).size; }

  // Fills `target`, which holds size_of(name) bytes.
  void read(std::string_view name, void* target) const;
  std::string read(std::string_view name) const;

 private:
  struct Record {
    uint64_t header_offset = 0;
    uint64_t size = 0;
    uint32_t crc = 0;
  };
  struct Directory {
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t entries = 0;
  };

  Directory locate_directory() const;
  Directory read_zip64_end(uint64_t locator_offset) const;
  // Adds the entry at `cursor` and returns the position behind it.
  size_t add_record(std::string_view directory, size_t cursor);
  const Record& find(std::string_view name) const;
  uint64_t data_offset(std::string_view name, const Record& record) const;

  const WeightsInput& input_;
  std::map<std::string, Record, std::less<>> records_;
};

}  // namespace resnext
