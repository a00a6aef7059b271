// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/checkpoint_folder.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "comm/common/error.h"
#include "data/container/checksum.h"
#include "worker/record/writing.h"
#include "worker/state/manifest.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPartial = ".partial-";
constexpr const char* kAside = "aside-";
constexpr const char* kManifest = "manifest.json";
constexpr const char* kValidation = "validation.json";
constexpr uint64_t kSyncBytes = uint64_t{64} << 20;

bool is_partial(const std::string& name) {
  return name.find(kPartial) != std::string::npos;
}

bool is_save(const std::string& name) {
  return name.starts_with("step-") && !is_partial(name);
}

bool is_aside(const std::string& name) {
  return name.starts_with(kAside) && !is_partial(name);
}

std::span<const uint8_t> bytes_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

// Nothing is there: damage, and no trouble of the file system's, which may pass.
bool is_missing(const FileError& error) {
  return error.code() == std::errc::no_such_file_or_directory ||
         error.code() == std::errc::not_a_directory || error.code() == std::errc::is_a_directory;
}

[[noreturn]] void not_whole(const fs::path& path, const std::string& why) {
  throw CheckpointError(path.string(), why, "name another checkpoint, or set run.resume to auto");
}

}  // namespace

CheckpointFolder::Entry CheckpointFolder::entry_of(const std::string& name) const {
  Entry entry{name, {}, validation_of(folder_ / name)};
  try {
    const fs::path manifest = folder_ / name / kManifest;
    entry.manifest = to_manifest(files_.read(manifest), manifest.string());
  } catch (const CheckpointError&) {  // damaged: as if it were not there
  } catch (const FileError& error) {
    if (!is_missing(error)) throw;
  }
  return entry;
}

// A damaged one is as if it were not there.
std::optional<Accuracy> CheckpointFolder::validation_of(const fs::path& checkpoint) const try {
  const fs::path path = checkpoint / kValidation;
  if (!files_.exists(path)) return std::nullopt;
  return to_accuracy(files_.read(path), path.string());
} catch (const CheckpointError&) {
  return std::nullopt;
}

std::vector<CheckpointFolder::Entry> CheckpointFolder::entries() const {
  std::vector<Entry> found;
  for (const std::string& name : files_.list(folder_)) {
    if (is_save(name)) found.push_back(entry_of(name));
  }
  const auto age = [](const Entry& e) {
    return e.manifest ? std::tuple(int64_t{1}, e.manifest->serial, e.manifest->progress.step)
                      : std::tuple(int64_t{0}, int64_t{0}, int64_t{0});
  };
  std::ranges::stable_sort(found, [&](const Entry& a, const Entry& b) { return age(a) > age(b); });
  return found;
}

int64_t CheckpointFolder::last_serial() const {
  int64_t last = 0;
  for (const std::string& name : files_.list(folder_)) {
    if (!is_save(name) && !is_aside(name)) continue;
    const Entry entry = entry_of(name);
    if (entry.manifest) last = std::max(last, entry.manifest->serial);
  }
  return last;
}

SavedState CheckpointFolder::read(const fs::path& checkpoint) const {
  SavedState state;
  state.folder = checkpoint;
  try {
    const fs::path manifest = checkpoint / kManifest;
    state.manifest = to_manifest(files_.read(manifest), manifest.string());
    for (const auto& [name, expected] : state.manifest.files) {
      std::string& bytes = state.files[name] = files_.read(checkpoint / name);
      const FileRecord found{bytes.size(), crc32c(bytes_of(std::as_bytes(std::span(bytes))))};
      if (found != expected) {
        not_whole(checkpoint / name, "differs from the size or checksum in manifest.json");
      }
    }
    state.validation = validation_of(checkpoint);
  } catch (const FileError& error) {
    if (!is_missing(error)) throw;
    not_whole(checkpoint, std::string("cannot be read: ") + error.what());
  }
  return state;
}

bool CheckpointFolder::has_all_files(const Entry& entry) const {
  if (!entry.manifest) return false;
  try {
    return std::ranges::all_of(entry.manifest->files, [&](const auto& file) {
      return files_.size(folder_ / entry.name / file.first) == file.second.bytes;
    });
  } catch (const FileError& error) {
    if (!is_missing(error)) throw;
    return false;
  }
}

FileRecord CheckpointFolder::write_file(const fs::path& path, const SavedFile& content) {
  const auto file = files_.create(path);
  FileRecord record;
  uint64_t synced = 0;
  content.write([&](std::span<const std::byte> bytes) {
    file->write(bytes);
    record.bytes += bytes.size();
    record.crc32c = crc32c(bytes_of(bytes), record.crc32c);
    if (record.bytes - synced < kSyncBytes) return;
    file->sync();  // no long silence at the end
    synced = record.bytes;
  });
  file->sync();
  file->close();
  return record;
}

std::string CheckpointFolder::write(Manifest manifest, const std::vector<SavedFile>& contents) {
  const std::string name = fmt::format("step-{:08}", manifest.progress.step);
  const fs::path partial = folder_ / fmt::format("{}{}{}", name, kPartial, ::getpid());
  return writing(folder_ / name, [&] {
    try {
      files_.remove_all(partial);
      files_.make_folders(partial);
      for (const SavedFile& content : contents) {
        manifest.files[content.name] = write_file(partial / content.name, content);
      }
      const auto file = files_.create(partial / kManifest);
      file->write(to_text(manifest));
      file->sync();
      file->close();
      files_.sync_folder(partial);
      if (files_.exists(folder_ / name)) set_aside(entry_of(name));
      files_.rename(partial, folder_ / name);
      files_.sync_folder(folder_);
    } catch (const std::exception&) {  // it would hold the space that the next one needs
      remove(partial.filename().string());
      throw;
    }
    return name;
  });
}

void CheckpointFolder::write_validation(const std::string& name, const Accuracy& accuracy) {
  const fs::path path = folder_ / name / kValidation;
  writing(path, [&] {
    files_.replace(path, to_text(accuracy));
    files_.sync_folder(folder_ / name);
  });
}

void CheckpointFolder::point(const std::string& link, const std::string& name) {
  const fs::path path = folder_ / link;
  writing(path, [&] {
    if (pointed(link) == name) return;
    if (name.empty()) return files_.remove_all(path);
    const fs::path partial = folder_ / fmt::format("{}{}{}", link, kPartial, ::getpid());
    files_.remove_all(partial);
    files_.make_link(name, partial);
    files_.rename(partial, path);
    files_.sync_folder(folder_);
  });
}

std::string CheckpointFolder::pointed(const std::string& link) const {
  return files_.read_link(folder_ / link);
}

// One whose manifest cannot be read has no serial that we could know.
void CheckpointFolder::set_aside(const Entry& entry) {
  const int64_t serial = entry.manifest ? entry.manifest->serial : 0;
  std::string name = fmt::format("{}{:06}-{}", kAside, serial, entry.name);
  for (int copy = 2; files_.exists(folder_ / name); ++copy) {
    name = fmt::format("{}{:06}-{}-{}", kAside, serial, entry.name, copy);
  }
  writing(folder_ / name, [&] {
    files_.rename(folder_ / entry.name, folder_ / name);
    files_.sync_folder(folder_);
  });
}

// It is gone at once, whatever becomes of its files. Not removing is never a reason to fail.
void CheckpointFolder::remove(const std::string& name) try {
  if (is_partial(name)) return files_.remove_all(folder_ / name);
  const std::string partial = fmt::format("{}{}{}", name, kPartial, ::getpid());
  files_.rename(folder_ / name, folder_ / partial);
  files_.remove_all(folder_ / partial);
} catch (const FileError&) {
}

void CheckpointFolder::remove_unfinished() try {
  for (const std::string& name : files_.list(folder_)) {
    if (is_partial(name)) remove(name);
  }
} catch (const FileError&) {
}

}  // namespace resnext
