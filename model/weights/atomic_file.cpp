// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, std::string_view what, int error) {
  throw OutputError(path, std::string(what) + ": " + std::strerror(error),
                    "free space or name a folder that can be written, then start again");
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(path + ".tmp") {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(path_, "the weights file cannot be created", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t count) noexcept {
  const char* cursor = static_cast<const char*>(data);
  while (count > 0 && error_ == 0) {
    const ssize_t done = ::write(descriptor_, cursor, count);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) {
      error_ = errno;
      return;
    }
    cursor += done;
    count -= static_cast<size_t>(done);
  }
}

void AtomicFile::commit() {
  if (error_ == 0 && ::fsync(descriptor_) != 0) error_ = errno;
  if (::close(std::exchange(descriptor_, -1)) != 0 && error_ == 0) error_ = errno;
  if (error_ != 0) fail(path_, "the weights file cannot be written", error_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail(path_, "the weights file cannot be renamed from " + temporary_, errno);
  }
  committed_ = true;
  sync_folder();
}

void AtomicFile::sync_folder() const {
  const fs::path folder = fs::path(path_).parent_path();
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(path_, "the folder of the weights file cannot be opened", errno);
  const int error = ::fsync(descriptor) != 0 ? errno : 0;
  ::close(descriptor);
  // Some network file systems cannot sync a folder; the rename itself has succeeded.
  if (error != 0 && error != EINVAL) fail(path_, "the folder cannot be written", error);
}

}  // namespace resnext
