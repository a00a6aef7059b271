// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/faulty_files.h"

#include <cerrno>

namespace resnext::test {

namespace fs = std::filesystem;

template <class F, class Partly>
auto FaultyFiles::call(const fs::path& path, bool takes_space, F whole, Partly partly) {
  const int64_t number = calls_++;
  if (number < at_) return whole();
  const bool first = number == at_;
  switch (fault_) {
    case Fault::kDeathBefore:
      throw Death();
    case Fault::kDeathWithin:
      if (first) partly();
      throw Death();
    case Fault::kNoSpace:
      if (!takes_space) return whole();
      if (first) partly();
      throw FileError(ENOSPC, path, "test");
    case Fault::kIoError:
      if (first) throw FileError(EIO, path, "test");
  }
  return whole();
}

template <class F>
auto FaultyFiles::call(const fs::path& path, bool takes_space, F whole) {
  return call(path, takes_space, whole, [&] {
    if (fault_ == Fault::kDeathWithin) whole();
  });
}

class FaultyFiles::File final : public WritableFile {
 public:
  File(FaultyFiles& owner, fs::path path, std::unique_ptr<WritableFile> file)
      : owner_(owner), path_(std::move(path)), file_(std::move(file)) {}

  using WritableFile::write;
  void write(std::span<const std::byte> bytes) override {
    owner_.call(
        path_, true, [&] { file_->write(bytes); },
        [&] { file_->write(bytes.first(bytes.size() / 2)); });
  }
  void sync() override {
    owner_.call(path_, true, [] {});
  }
  void close() override {
    owner_.call(path_, true, [&] { file_->close(); });
  }

 private:
  FaultyFiles& owner_;
  fs::path path_;
  std::unique_ptr<WritableFile> file_;
};

std::vector<std::string> FaultyFiles::list(const fs::path& folder) {
  return call(folder, false, [&] { return posix_files().list(folder); });
}

bool FaultyFiles::exists(const fs::path& path) {
  return call(path, false, [&] { return posix_files().exists(path); });
}

uint64_t FaultyFiles::size(const fs::path& path) {
  return call(path, false, [&] { return posix_files().size(path); });
}

std::string FaultyFiles::read(const fs::path& path) {
  return call(path, false, [&] { return posix_files().read(path); });
}

std::unique_ptr<WritableFile> FaultyFiles::create(const fs::path& path) {
  return call(path, true, [&]() -> std::unique_ptr<WritableFile> {
    return std::make_unique<File>(*this, path, posix_files().create(path));
  });
}

std::unique_ptr<WritableFile> FaultyFiles::append(const fs::path& path) {
  return call(path, true, [&]() -> std::unique_ptr<WritableFile> {
    return std::make_unique<File>(*this, path, posix_files().append(path));
  });
}

void FaultyFiles::rename(const fs::path& from, const fs::path& to) {
  call(to, false, [&] { posix_files().rename(from, to); });
}

// A death within leaves a folder of several files half-removed.
void FaultyFiles::remove_all(const fs::path& path) {
  call(
      path, false, [&] { posix_files().remove_all(path); },
      [&] {
        for (const auto& name : posix_files().list(path)) {
          return posix_files().remove_all(path / name);
        }
      });
}

void FaultyFiles::make_folders(const fs::path& folder) {
  call(folder, true, [&] { posix_files().make_folders(folder); });
}

void FaultyFiles::make_link(const std::string& target, const fs::path& link) {
  call(link, true, [&] { posix_files().make_link(target, link); });
}

std::string FaultyFiles::read_link(const fs::path& link) {
  return call(link, false, [&] { return posix_files().read_link(link); });
}

void FaultyFiles::sync_folder(const fs::path& folder) {
  call(folder, true, [] {});
}

void FaultyFiles::touch(const fs::path& path) {
  call(path, false, [&] { posix_files().touch(path); });
}

double FaultyFiles::age_s(const fs::path& path) {
  return call(path, false, [&] { return posix_files().age_s(path); });
}

}  // namespace resnext::test
