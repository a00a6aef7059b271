// SPDX-License-Identifier: BSD-3-Clause
#include "comm/mpi_environment.h"

#include <algorithm>
#include <vector>

#include "comm/common/error.h"
#include "comm/mpi_check.h"
#include "comm/watch/watch.h"
#include "comm/watch/watchdog.h"

namespace resnext {
namespace {

// Collective. Tells the watchdogs whose boards are one host's, and of several where rank 0 listens.
void introduce(watch::Watchdog& watchdog, int rank, int size) {
  const watch::Introduction mine = watchdog.introduction();
  std::vector<watch::Introduction> all(static_cast<size_t>(size));
  check_mpi(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE,
                          MPI_COMM_WORLD),
            "MPI_Allgather");
  watch::Meeting meeting;
  const bool several =
      std::ranges::any_of(all, [&](const auto& it) { return it.board != mine.board; });
  if (several && rank == 0) meeting = watchdog.listen();
  if (several) {
    check_mpi(MPI_Bcast(&meeting, sizeof meeting, MPI_BYTE, 0, MPI_COMM_WORLD), "MPI_Bcast");
  }
  watchdog.meet(rank, all, meeting);
}

}  // namespace

MpiEnvironment::MpiEnvironment(watch::Watchdog* watchdog) {
  watch::enter(watch::Phase::kInit);
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  if (provided < MPI_THREAD_MULTIPLE) {
    throw CommError("MPI_Init_thread", "this MPI does not offer MPI_THREAD_MULTIPLE",
                    "use an Open MPI built with thread support");
  }
  MPI_Comm host = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
  MPI_Comm_rank(host, &local_rank_);
  MPI_Comm_size(host, &local_size_);
  MPI_Comm_free(&host);
  if (watchdog != nullptr) introduce(*watchdog, rank_, size_);
  watch::enter(watch::Phase::kOpen);
}

MpiEnvironment::~MpiEnvironment() {
  watch::enter(watch::Phase::kEnd);
  MPI_Finalize();
}

}  // namespace resnext
