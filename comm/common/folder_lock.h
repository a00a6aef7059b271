// One owner of a folder: a run folder, a sweep folder.
//
// FOLDER/NAME is a symbolic link, which only one process can make, to FOLDER/NAME.TOKEN, which says
// who holds the lock (lock_owner.h) and is touched every few seconds. Whoever finds a lock whose
// owner has died takes it over: at once where the owner's process would be seen from here, else
// when its file was not touched for a lease, by the clock of where it is stored. Two that find the
// same dead owner do not both win: on one host they take turns (flock on the folder), and between
// hosts the old link is renamed, looked at again, and the own one read back after a while.
//
// Who is refused changes nothing of the folder. A lock is bound to its process, not to a thread:
// use one object from one thread at a time. Local. take() and refuse_if_held() throw ConfigError,
// which tells whose the lock is, and OutputError where the folder cannot be written.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "comm/common/file_system.h"
#include "comm/common/launched.h"
#include "comm/common/lock_owner.h"

namespace resnext {

inline constexpr const char* kRunLock = "run.lock";            // of the rank that writes a run
inline constexpr const char* kLauncherLock = "launcher.lock";  // of the launcher of a run
inline constexpr const char* kSweepLock = "sweep.lock";

// The functions are seams: a test may give all of them, and then no clock, process or real file is
// looked at.
struct LockOptions {
  std::string name = kRunLock;
  std::string program;                   // that takes it, for people
  double lease_s = 30;                   // after which an owner that cannot be seen counts as dead
  double heartbeat_s = 5;                // between two touches
  double settle_s = 1;                   // before a lock taken from an owner elsewhere is read back
  std::function<LockOwner()> self = {};  // default: this_process(program)
  std::function<Liveness(const LockOwner&)> liveness = liveness_of;
  std::function<double()> now = {};        // seconds of a clock that never goes back
  std::function<void(double)> sleep = {};  // seconds
  // Held while a lock changes hands on this host; default: flock on the folder.
  std::function<std::shared_ptr<void>(const std::filesystem::path& folder)> guard = {};
};

class FolderLock {
 public:
  // Makes the folder when it is missing. May wait for the lease.
  static FolderLock take(FileSystem& files, const std::filesystem::path& folder,
                         LockOptions options);

  // Throws what take() would when another process holds the lock, but takes nothing. A holder with
  // `friendly_token` is no other. May wait for the lease.
  static void refuse_if_held(FileSystem& files, const std::filesystem::path& folder,
                             LockOptions options, std::string_view friendly_token);

  // Releases it.
  ~FolderLock();
  FolderLock(FolderLock&&) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;

  // Call often: every heartbeat_s it tells others that we live, and looks whether the lock is still
  // ours; otherwise it costs nothing. False once somebody has taken it over, which happens only
  // after we had stood still for a lease: leave then, and write nothing more. A file system that
  // fails for a while is no reason.
  bool heartbeat();
  bool still_ours();
  // Only when it is ours; a second time nothing happens. Never throws.
  void release() noexcept;

  const std::string& token() const;
  const std::filesystem::path& folder() const;

 private:
  class Impl;
  explicit FolderLock(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnext
