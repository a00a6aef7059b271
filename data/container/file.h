// A file opened for reading by offset, or read whole.
//
// Thread-safe after construction. Throws DataError naming the file.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace resnext {

// Owner of a file descriptor.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class InputFile {
 public:
  // Throws DataError when `path` is missing, a folder, or unreadable. A pipe or device is refused
  // without a wait for its other end.
  explicit InputFile(std::string path);

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  // Fills `bytes` from `offset`. Throws DataError when the file ends before.
  void read_at(uint64_t offset, std::span<uint8_t> bytes) const;
  // Asks the system to forget what it keeps of these bytes, so that they are read from the disk.
  void forget(uint64_t offset, uint64_t bytes) const;

 private:
  std::string path_;
  FileDescriptor fd_;
  uint64_t size_ = 0;
};

// Files that are read whole are of at most so many bytes.
inline constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

// The whole file into `bytes`.
void read_file(const std::string& path, std::vector<uint8_t>& bytes);

// Size and time of a file in words, which change when it does; empty where there is none.
std::string file_version(const std::string& path);

// The lines of a text file, without those that are empty, without a Windows carriage return.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace resnext
