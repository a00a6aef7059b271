// Read-only file for the weights readers: every read is checked against the file's size.
//
// Owns the descriptor. Local; one thread at a time. Throws CheckpointError with the file's name.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace resnext {

class StateDictInput {
 public:
  explicit StateDictInput(const std::string& path);
  ~StateDictInput();
  StateDictInput(const StateDictInput&) = delete;
  StateDictInput& operator=(const StateDictInput&) = delete;

  uint64_t size() const noexcept { return size_; }

  // Fills `target` with `count` bytes from `offset`; throws when the file does not have them.
  void read(uint64_t offset, void* target, uint64_t count) const;

  // The same as a string. `count` is checked before memory is taken.
  std::string read(uint64_t offset, uint64_t count) const;

  // Throws CheckpointError for this file.
  [[noreturn]] void fail(std::string_view what) const;

 private:
  void check_range(uint64_t offset, uint64_t count) const;

  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

}  // namespace resnext
