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

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "comm/watch/host_link.h"
#include "comm/watch/job.h"

namespace resnext::watch {

// What a rank says of itself to the others once it can; plain bytes, sent as they are.
struct Introduction {
  uint64_t board = 0;  // equal on the ranks of one board
  std::array<char, 64> host{};
};

class Watchdog {
 public:
  // Begins to watch. The functions of watch.h work from now on. Construct it first in main, before
  // MPI starts; at most one a process.
  explicit Watchdog(const Job& job = job_from_environment());
  // The rank has ended in order.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  Introduction introduction() const;
  // Rank 0, when there are several boards: where the others find it.
  Meeting listen();
  // All ranks have come: `all` by rank; `meeting` is rank 0's.
  void meet(int rank, const std::vector<Introduction>& all, const Meeting& meeting);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnext::watch
