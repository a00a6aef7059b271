// What the program tells its watchdog, and what it asks it.
//
// A process has at most one watchdog, as it has one set of signal handlers; without one all of this
// does nothing, and nothing has failed. Local. Safe on any thread, but enter(), enter_step() and
// CollectiveWait belong to the training thread. A call costs tens of nanoseconds.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "comm/common/error.h"
#include "comm/watch/phase.h"

namespace resnext::watch {

// This rank begins a phase. It must end, or beat(), within the limit: comm.timeout_s.
void enter(Phase phase);
// There is progress within the phase: its limit counts from now.
void beat();
// Number of the training step that begins.
void enter_step(int64_t step);
// Of every phase, in seconds; as long as no rank of the host knows it: 600.
void set_limit(double seconds);
// Where the flight records of a failure go; its parent exists. Longer ones than 1000 bytes do not
// count.
void set_flight_folder(const std::string& folder);

// While it lives this rank waits for the collective of this number; 0: for one that has none. What
// was before goes on afterwards.
class CollectiveWait {
 public:
  explicit CollectiveWait(uint64_t number);
  ~CollectiveWait();
  CollectiveWait(const CollectiveWait&) = delete;
  CollectiveWait& operator=(const CollectiveWait&) = delete;

 private:
  Phase before_;
};

// The oldest collective on this rank's device that has not completed, and for how long it has been
// waited for; 0: all have. For backends whose host waits for nothing.
void device_waits(uint64_t number, double seconds);

// Whether a watchdog decides when a wait has lasted too long, so that nobody else need to.
bool on_duty();

// Whether a rank of this job has failed. What was computed since must not be logged as a result or
// saved.
bool failed();
// Throws CommError (76) when one has.
void throw_if_failed();

// This rank has failed: all ranks learn why. The first one counts, what follows is a consequence.
void publish(ExitCode code, std::string_view text);

// Calls f. What it throws is published while everything outside of f still lives, and thrown on.
template <class F>
auto guard(F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const std::exception& exception) {
    const Error error = to_error(exception);
    publish(error.exit_code(), error.what());
    throw;
  }
}

// Publishes the failure and returns the exit code to leave main with: the first cause's. It returns
// only when every rank has failed by itself (the same wrong configuration, say), and MPI can be
// left in order; otherwise it ends the process, for peers may be in a collective for ever.
int fail(const Error& error);
// For a thread that cannot throw to main: ends the process in any case.
[[noreturn]] void end_process(const Error& error);

}  // namespace resnext::watch
