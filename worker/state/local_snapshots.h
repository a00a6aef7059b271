// The newest state of a run in a folder of this host, such as /dev/shm: what a lost process or a
// lost shared file system costs is then a few steps.
//
// One rank of each host has one. LOCAL/resnext-HASH/ holds one checkpoint (checkpoint_folder.h);
// HASH is of the run folder's path. Local; one thread at a time.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "worker/state/checkpoint_folder.h"

namespace resnext {

// Which run, and which line of it, snapshots belong to.
struct RunIdentity {
  std::string run;  // empty: the shared folder knows of none
  Lineage lineage = Lineage();
};

std::string to_text(const RunIdentity& identity);
RunIdentity to_identity(const std::string& text);

class LocalSnapshots {
 public:
  LocalSnapshots(FileSystem& files, const std::filesystem::path& local,
                 const std::filesystem::path& output);

  // The newest whole snapshot of the identity's line that is more than `step` updates old; of any
  // run of this folder where the identity is not known.
  std::optional<SavedState> newest(const RunIdentity& identity, int64_t step) const;

  // Replaces the one before. Throws OutputError; the one before stays.
  void write(const RunIdentity& identity, const Progress& progress, const DataRecord& data,
             const std::vector<SavedFile>& files);

 private:
  CheckpointFolder folder_;
};

}  // namespace resnext
