// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "comm/common/host.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReadBytes = size_t{4} << 20;

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd_ < 0) throw FileError(errno, path, "open");
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

class PosixFile final : public WritableFile {
 public:
  PosixFile(const fs::path& path, int flags) : path_(path), file_(path, flags) {}

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) throw FileError(written < 0 ? errno : ENOSPC, path_, "write");
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }
  void sync() override {
    if (::fsync(file_.get()) != 0) throw FileError(errno, path_, "fsync");
  }
  void close() override {
    if (file_.close() != 0) throw FileError(errno, path_, "close");
  }

 private:
  const fs::path path_;
  Descriptor file_;
};

struct stat status_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw FileError(errno, path, "stat");
  return status;
}

double seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class PosixFiles final : public FileSystem {
 public:
  std::vector<std::string> list(const fs::path& folder) override {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; entry != end && !error;
         entry.increment(error)) {
      names.push_back(entry->path().filename().string());
    }
    if (error && error != std::errc::no_such_file_or_directory) {
      throw FileError(error.value(), folder, "readdir");
    }
    std::ranges::sort(names);
    return names;
  }
  bool exists(const fs::path& path) override {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw FileError(errno, path, "lstat");
  }
  uint64_t size(const fs::path& path) override {
    return static_cast<uint64_t>(status_of(path).st_size);
  }
  std::string read(const fs::path& path) override {
    const Descriptor file(path, O_RDONLY);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw FileError(errno, path, "fstat");
    std::string bytes(static_cast<size_t>(status.st_size), '\0');
    size_t done = 0;
    while (true) {  // it may have grown
      if (done == bytes.size()) bytes.resize(done + 1);
      const ssize_t got =
          ::read(file.get(), bytes.data() + done, std::min(kReadBytes, bytes.size() - done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw FileError(errno, path, "read");
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }
  std::unique_ptr<WritableFile> create(const fs::path& path) override {
    return std::make_unique<PosixFile>(path, O_WRONLY | O_CREAT | O_TRUNC);
  }
  std::unique_ptr<WritableFile> append(const fs::path& path) override {
    return std::make_unique<PosixFile>(path, O_WRONLY | O_CREAT | O_APPEND);
  }
  void rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) throw FileError(errno, to, "rename");
  }
  void remove_all(const fs::path& path) override {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) throw FileError(error.value(), path, "remove");
  }
  void make_folders(const fs::path& folder) override {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw FileError(error.value(), folder, "mkdir");
  }
  void make_link(const std::string& target, const fs::path& link) override {
    if (::symlink(target.c_str(), link.c_str()) != 0) throw FileError(errno, link, "symlink");
  }
  std::string read_link(const fs::path& link) override {
    std::error_code error;
    return fs::read_symlink(link, error).string();
  }
  void sync_folder(const fs::path& folder) override {
    const Descriptor file(folder, O_RDONLY | O_DIRECTORY);
    if (::fsync(file.get()) != 0) throw FileError(errno, folder, "fsync");
  }
  void touch(const fs::path& path) override {
    if (::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) != 0) {
      throw FileError(errno, path, "utimensat");
    }
  }
  // A file made now says what time it is there.
  double age_s(const fs::path& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
      if (errno == ENOENT) return -1;
      throw FileError(errno, path, "stat");
    }
    const fs::path probe = path.string() + ".now-" + process_name();
    create(probe)->close();
    const double now = seconds(status_of(probe).st_mtim);
    remove_all(probe);
    return std::max(0.0, now - seconds(status.st_mtim));
  }
};

// Folders far above may be somebody else's, or of a kind that is not synced.
bool is_not_ours(int error) {
  return error == EACCES || error == EPERM || error == EROFS || error == EINVAL || error == ENOTSUP;
}

}  // namespace

FileError::FileError(int number, const fs::path& path, std::string_view call)
    : std::system_error(number, std::generic_category(), path.string() + ": " + std::string(call)) {
}

void FileSystem::make_folders_to_stay(const fs::path& folder) {
  make_folders(folder);
  fs::path above = fs::absolute(folder).lexically_normal();
  while (above.has_relative_path()) {  // one that was killed may have made some of them
    above = above.parent_path();
    try {
      sync_folder(above);
    } catch (const FileError& error) {
      if (!is_not_ours(error.code().value())) throw;
    }
  }
}

void FileSystem::replace(const fs::path& path, std::string_view text) {
  const fs::path partial = path.string() + ".partial-" + process_name();
  try {
    const auto file = create(partial);
    file->write(text);
    file->sync();
    file->close();
    rename(partial, path);
  } catch (const FileError&) {
    try {
      remove_all(partial);
    } catch (const FileError&) {  // the first failure is the one to tell
    }
    throw;
  }
}

FileSystem& posix_files() {
  static PosixFiles files;
  return files;
}

}  // namespace resnext
