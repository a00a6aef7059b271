// The few file functions that the state of a run goes through: checkpoints, locks, metrics.
//
// One seam, so that a test can run whole histories on files that tear, fill up and fail. Everything
// is local. A function that fails throws FileError and leaves what was there, unless said
// otherwise. posix_files() is the machine's own, safe from any thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace resnext {

// code() is the errno; what() says "PATH: call: reason".
class FileError : public std::system_error {
 public:
  FileError(int number, const std::filesystem::path& path, std::string_view call);
};

// A file that is being written. Ends without close(): what was written stays, unsynced.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // All of `bytes`, at the end; short writes are continued.
  virtual void write(std::span<const std::byte> bytes) = 0;
  // On the storage, not only in the system's cache.
  virtual void sync() = 0;
  virtual void close() = 0;

  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Names in a folder, sorted; none when there is no folder.
  virtual std::vector<std::string> list(const std::filesystem::path& folder) = 0;
  virtual bool exists(const std::filesystem::path& path) = 0;
  // Of a file, or of what a link leads to. Throws when there is none.
  virtual uint64_t size(const std::filesystem::path& path) = 0;
  // Whole content.
  virtual std::string read(const std::filesystem::path& path) = 0;
  // A new, empty file, in place of one of the same name.
  virtual std::unique_ptr<WritableFile> create(const std::filesystem::path& path) = 0;
  // At the end of a file, which is made when there is none.
  virtual std::unique_ptr<WritableFile> append(const std::filesystem::path& path) = 0;
  // Atomic; replaces a file or link of the new name, and refuses to replace a folder with content.
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  // Nothing happens when there is nothing. A folder may be left half-removed.
  virtual void remove_all(const std::filesystem::path& path) = 0;
  virtual void make_folders(const std::filesystem::path& folder) = 0;
  virtual void make_link(const std::string& target, const std::filesystem::path& link) = 0;
  // What a symbolic link says; empty when there is no link.
  virtual std::string read_link(const std::filesystem::path& link) = 0;
  // The names in a folder are on the storage.
  virtual void sync_folder(const std::filesystem::path& folder) = 0;
  // Marks a file as changed now, for others to see that its owner lives.
  virtual void touch(const std::filesystem::path& path) = 0;
  // Seconds since the file changed, by the clock of where it is stored; negative: no file.
  virtual double age_s(const std::filesystem::path& path) = 0;

  // A folder and all above it, with their names on the storage.
  void make_folders_to_stay(const std::filesystem::path& folder);
  // A whole file under its name or not at all: temporary name beside it, sync, rename.
  void replace(const std::filesystem::path& path, std::string_view text);
};

FileSystem& posix_files();

}  // namespace resnext
