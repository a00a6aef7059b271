// MPI's lifetime, and how a run fails: one line from one rank, then the whole job goes down.
//
// Constructed first in main and destroyed last. Thread level SERIALIZED at least. Without mpirun
// MPI starts as a world of one.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mpi.h>

#include <string>

#include "comm/common/error.h"

namespace resnext {

class MpiEnvironment {
 public:
  // Collective. MPI_Init_thread; errors are returned, not fatal.
  MpiEnvironment();
  // MPI_Finalize, unless fail() has shut MPI down. Collective when the run succeeded.
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Rank among the ranks on this host, and their number.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }

  // Reports an error and returns the exit code to leave main with. When every rank has failed (the
  // same wrong configuration, say) the lowest rank alone prints its line and all leave in order
  // with its code. Otherwise, after a grace of two seconds, this rank prints the line and MPI_Abort
  // takes the job down: then it does not return.
  int fail(ExitCode code, const std::string& line) const noexcept;

 private:
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  MPI_Comm failures_ = MPI_COMM_NULL;  // only fail() communicates on it
};

}  // namespace resnext
