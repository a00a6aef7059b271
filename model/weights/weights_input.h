// Read-only file, or its bytes in memory, for the weights readers: every read is checked against
// its size.
//
// Owns the descriptor. Opening never waits: a FIFO is refused.
// Local; one thread at a time. Throws CheckpointError with the file's name.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace resnext {

class WeightsInput {
 public:
  explicit WeightsInput(const std::string& path);
  // `name` stands for the file in errors.
  WeightsInput(std::string name, std::string bytes)
      : path_(std::move(name)), bytes_(std::move(bytes)), size_(bytes_.size()) {}
  ~WeightsInput();
  WeightsInput(WeightsInput&& other) noexcept;
  WeightsInput& operator=(WeightsInput&&) = delete;

  const std::string& path() const noexcept { return path_; }
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
  int descriptor_ = -1;  // -1: `bytes_` are the file
  std::string bytes_;
  uint64_t size_ = 0;
};

}  // namespace resnext
