// A thread beside the training thread, from before MPI_Init to the exit code: no rank waits for
// ever, and whatever ends a job has one cause that every rank knows.
//
// It reads the board of its host (board.h), where each rank writes what it does, and names who is
// dead, stopped or over its limit (verdict.h). Between hosts the leaders' boards go to rank 0 and
// its rulings back (host_link.h); with one host nothing is sent. When any rank has failed it writes
// this rank's flight record and those of ranks that no longer can, prints the first cause if it is
// this rank's, and ends the process with the cause's exit code when the training thread does not
// within two seconds: it may be stuck in MPI, in the device or in a read.
//
// It also ends the process (76) when the process that has started it is gone, mpirun say. A job
// that was stopped and continued as a whole is judged anew from then on.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/watch/host_link.h"
#include "comm/watch/job.h"

namespace resnext::watch {

class Watchdog {
 public:
  // Begins to watch. The functions of watch.h work from now on. Construct it first in main, before
  // MPI starts; at most one a process.
  explicit Watchdog(const Job& job = job_from_environment());
  // The rank has ended in order.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // What ranks must tell each other once they can, so that hosts find each other.
  uint64_t board() const;  // equal on the ranks of one board
  Meeting listen();        // rank 0, when there are several boards
  // All ranks have come: `boards` by rank; `meeting` is rank 0's.
  void meet(int rank, const std::vector<uint64_t>& boards, const Meeting& meeting);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnext::watch
