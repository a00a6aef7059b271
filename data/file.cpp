// POSIX files: open, pread until complete, close.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "comm/common/error.h"

namespace resnext {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

InputFile::InputFile(std::string path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  if (fd_.get() < 0 || ::fstat(fd_.get(), &status) != 0) {
    throw DataError(path_, std::string("cannot be opened: ") + std::strerror(errno),
                    "check the path and its permissions");
  }
  if (!S_ISREG(status.st_mode)) throw DataError(path_, "is not a file", "name a file");
  size_ = static_cast<uint64_t>(status.st_size);
}

void InputFile::read_at(uint64_t offset, std::span<uint8_t> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const std::string why = got == 0 ? "the file ends early" : std::strerror(errno);
      throw DataError(path_, "cannot read at byte " + std::to_string(offset) + ": " + why,
                      "copy or pack the file again");
    }
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
}

void read_file(const std::string& path, std::vector<uint8_t>& bytes) {
  const InputFile file(path);
  bytes.resize(file.size());
  file.read_at(0, bytes);
}

}  // namespace resnext
