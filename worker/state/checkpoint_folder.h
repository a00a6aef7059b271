// Checkpoints: folders that exist only when complete.
//
// CHECKPOINTS/step-00000120/ holds model.pt (a torchvision state_dict), optimizer.pt (its state by
// parameter name), with ema.decay ema.pt (as model.pt), manifest.json (what it is, and size and
// CRC-32C of the other files and itself) and, once it was validated, validation.json. It is written
// under a temporary name, each file checksummed on its way and fsynced, then renamed.
// CHECKPOINTS/latest and best are symbolic links to such folders; aside-SERIAL-step-... are saves
// of lines that were left. This knows files, not tensors. Local; one thread at a time.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/common/file_system.h"
#include "worker/input/data_record.h"
#include "worker/record/accuracy.h"
#include "worker/state/lineage.h"
#include "worker/state/progress.h"

namespace resnext {

struct FileRecord {
  uint64_t bytes = 0;
  uint32_t crc32c = 0;
  bool operator==(const FileRecord&) const = default;
};

struct Manifest {
  std::string run;     // identity of the run; empty before format version 2
  int64_t serial = 0;  // of the save, only grows; 0 before format version 2
  int64_t parent = 0;  // serial of the save before; 0: none
  Lineage lineage;     // up to this save
  Progress progress;
  std::optional<DataRecord> data;  // none before format version 2
  std::map<std::string, FileRecord> files;
  int64_t best_step = -1;  // of format version 1, which had no validation.json
  double best_top1 = -1;
};

// A file that a save consists of: `write` gives its bytes to a sink, from begin to end.
struct SavedFile {
  std::string name;
  std::function<void(const std::function<void(std::span<const std::byte>)>& sink)> write;
};

// A checkpoint that has been read and is whole.
struct SavedState {
  std::filesystem::path folder;
  Manifest manifest;
  std::optional<Accuracy> validation;
  std::map<std::string, std::string> files;  // content by name
};

class CheckpointFolder {
 public:
  // A folder of CHECKPOINTS and what its manifest says; none when that cannot be read.
  struct Entry {
    std::string name;
    std::optional<Manifest> manifest;
    std::optional<Accuracy> validation;
  };

  CheckpointFolder(FileSystem& files, std::filesystem::path folder)
      : files_(files), folder_(std::move(folder)) {}

  const std::filesystem::path& path() const { return folder_; }
  // Of saves that were not set aside: the newest serial first, those without a manifest last.
  // Throws FileError, also where a manifest that is there cannot be read: it may be whole.
  std::vector<Entry> entries() const;
  // The largest serial of all that is here, set aside or not.
  int64_t last_serial() const;

  // Reads a checkpoint, each file once, and compares the checksums. Throws CheckpointError when it
  // is not whole.
  SavedState read(const std::filesystem::path& checkpoint) const;
  // True when all files are there with their sizes; reads none. Throws FileError.
  bool has_all_files(const Entry& entry) const;

  // Writes one; `manifest.files` is filled in. One of the same name is set aside. Returns its name.
  // Throws OutputError; what was there stays.
  std::string write(Manifest manifest, const std::vector<SavedFile>& contents);
  // Adds the validation of a checkpoint's place. Throws OutputError.
  void write_validation(const std::string& name, const Accuracy& accuracy);

  // Points CHECKPOINTS/LINK to a checkpoint; an empty name removes the link. Throws OutputError.
  void point(const std::string& link, const std::string& name);
  std::string pointed(const std::string& link) const;
  // Throws OutputError.
  void set_aside(const Entry& entry);
  void remove(const std::string& name);
  // What killed runs have left half-written.
  void remove_unfinished();

 private:
  Entry entry_of(const std::string& name) const;
  std::optional<Accuracy> validation_of(const std::filesystem::path& checkpoint) const;
  FileRecord write_file(const std::filesystem::path& path, const SavedFile& content);

  FileSystem& files_;
  std::filesystem::path folder_;
};

}  // namespace resnext
