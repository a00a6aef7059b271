// POSIX files: open, pread until complete, close.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "comm/common/error.h"

namespace resnext {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

InputFile::InputFile(std::string path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  struct stat status {};
  if (fd_.get() < 0 || ::fstat(fd_.get(), &status) != 0) {
    throw DataError(path_, std::string("cannot be opened: ") + std::strerror(errno),
                    "check the path and its permissions");
  }
  if (S_ISDIR(status.st_mode)) {
    throw DataError(path_, "is a folder",
                    "name a file: of a folder of images `resnext_data pack imagefolder` makes one");
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

void InputFile::forget(uint64_t offset, uint64_t bytes) const {
  ::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                  POSIX_FADV_DONTNEED);
}

void read_file(const std::string& path, std::vector<uint8_t>& bytes) {
  const InputFile file(path);
  if (file.size() > kMaxFileBytes) {
    throw DataError(path, "is of " + std::to_string(file.size()) + " bytes",
                    "name a file of at most " + std::to_string(kMaxFileBytes) + " bytes");
  }
  bytes.resize(file.size());
  file.read_at(0, bytes);
}

std::string file_version(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return std::to_string(status.st_size) + " bytes of " + std::to_string(status.st_mtim.tv_sec) +
         "." + std::to_string(status.st_mtim.tv_nsec);
}

std::vector<std::string> read_lines(const std::string& path) {
  std::vector<uint8_t> bytes;
  read_file(path, bytes);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.find('\0') != std::string_view::npos) {
    throw DataError(path, "is no plain text: it has zero bytes", "save it as UTF-8 text");
  }
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kBlanks = " \t\r";
    const size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) continue;
    lines.emplace_back(line.substr(begin, line.find_last_not_of(kBlanks) + 1 - begin));
  }
  return lines;
}

}  // namespace resnext
