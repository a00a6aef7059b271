// The ownership of a run folder, for as long as a start of the run lives.
//
// Rank 0 only. A thread of its own tells others every few seconds that this process lives
// (comm/common/folder_lock.h). check() from any one thread at a time.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <memory>

#include "comm/common/folder_lock.h"

namespace resnext {

// Of the lock that a start takes: the machine's own, or a test's.
struct OwnerOptions {
  LockOptions lock;
  bool heart = true;           // a thread keeps it alive
  std::string launcher_token;  // of the launcher whose rank this is; empty: there is none
};

// For this process.
OwnerOptions owner_options();

class RunOwner {
 public:
  // Takes the folder, which it makes when it is missing; may wait for a lease. Throws ConfigError
  // when another process has it, which is told.
  RunOwner(FileSystem& files, const std::filesystem::path& output, const OwnerOptions& options);
  // Releases it; a folder that was made for the lock alone goes too.
  ~RunOwner();
  RunOwner(const RunOwner&) = delete;
  RunOwner& operator=(const RunOwner&) = delete;

  // Throws ConfigError when somebody has taken the folder over, because this process had stood
  // still for too long: nothing may be written any more.
  void check() const;

 private:
  struct Shared;
  std::filesystem::path made_;  // empty: the folder was there before
  std::unique_ptr<Shared> shared_;
};

}  // namespace resnext
