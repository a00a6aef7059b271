// MPI's lifetime, and who this rank is.
//
// Constructed first in main, after the watchdog, and destroyed last. Thread level MULTIPLE. Without
// mpirun MPI starts as a world of one.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mpi.h>

namespace resnext {

namespace watch {
class Watchdog;
}

class MpiEnvironment {
 public:
  // Collective. MPI_Init_thread; errors are returned, not fatal. The ranks' watchdogs, of which
  // either all ranks have one or none, meet here. Throws CommError.
  explicit MpiEnvironment(watch::Watchdog* watchdog = nullptr);
  // Collective: MPI_Finalize.
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Rank among the ranks on this host, and their number.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }

 private:
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
};

}  // namespace resnext
