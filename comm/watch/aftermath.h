// What a rank does once a rank of its job has failed: it leaves its record, the cause is printed
// once, and all leave with its exit code.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

#include "comm/watch/watched.h"

namespace resnext::watch {

// For the training thread to leave after a failure, before the watchdog ends the process; seconds.
constexpr double kGraceS = 2;

// ---- on the thread that has failed

// Publishes this rank's failure; of several the first counts. A lost peer after another rank's
// failure is a consequence of it.
void claim_own(Watched& watched, int code, std::string_view text);

// Returns the exit code to leave with: as soon as the cause has been printed, the records are
// written and it is known whether all ranks have failed by themselves (Notice::all_failed), within
// the grace.
int wait_for_the_others(Watched& watched);

// ---- on the watchdog's thread, when the first cause has settled

// Prints the cause if it is this rank's, or nobody else has come to it. Writes this rank's record,
// and those of ranks that cannot if this is the first that runs. Neither a full disk nor a full
// pipe holds it up for more than two seconds.
void leave_what_is_known(Watched& watched);

[[noreturn]] void end_now(Watched& watched);

}  // namespace resnext::watch
