// What a launcher tells the ranks that it starts: environment variables.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace resnext {

// The token of its lock on the run folder: the lock is theirs too (folder_lock.h).
inline constexpr const char* kLauncherLockVariable = "RESNEXT_LAUNCHER_LOCK";
// Set when it starts a run again by itself: a run.resume that the run has gone on from already is
// not to be gone back to.
inline constexpr const char* kRestartVariable = "RESNEXT_RESTART";

}  // namespace resnext
