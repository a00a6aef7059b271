// What the launcher (mpirun, srun) has told this process of its job, before MPI has started.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace resnext::watch {

struct Job {
  // Equal on the ranks of one host and job, and on no others; empty in a process that no launcher
  // has started.
  std::string key;
  std::string host;
  int rank = 0;
  int size = 1;
  int local_rank = 0;
  int local_size = 0;  // ranks on this host; 0: not known
};

// Reads Open MPI's, PMIx's and Slurm's variables. RESNEXT_RANKS_PER_HOST=N takes each N ranks for a
// host of their own: for tests of what happens between hosts.
Job job_from_environment();

}  // namespace resnext::watch
