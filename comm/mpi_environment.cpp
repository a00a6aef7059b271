// SPDX-License-Identifier: BSD-3-Clause
#include "comm/mpi_environment.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "comm/mpi_check.h"

namespace resnext {
namespace {

constexpr std::chrono::seconds kGrace{2};

// A rank and its exit code in one number, so that the lowest rank's is the smallest.
constexpr int kCodes = 256;

// That of the lowest failing rank when all ranks have failed within the grace, else -1.
int lowest_if_all_failed(MPI_Comm failures, int rank, int code) {
  int lowest = rank * kCodes + code;
  MPI_Request request = MPI_REQUEST_NULL;
  if (MPI_Iallreduce(MPI_IN_PLACE, &lowest, 1, MPI_INT, MPI_MIN, failures, &request) !=
      MPI_SUCCESS) {
    return -1;
  }
  const auto deadline = std::chrono::steady_clock::now() + kGrace;
  int done = 0;
  while (true) {
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return -1;
    if (done) return lowest;
    if (std::chrono::steady_clock::now() > deadline) return -1;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

MpiEnvironment::MpiEnvironment() {
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  if (provided < MPI_THREAD_MULTIPLE) {
    throw CommError("MPI_Init_thread", "this MPI does not offer MPI_THREAD_MULTIPLE",
                    "use an Open MPI built with thread support");
  }
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &failures_), "MPI_Comm_dup");
  MPI_Comm host = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
  MPI_Comm_rank(host, &local_rank_);
  MPI_Comm_size(host, &local_size_);
  MPI_Comm_free(&host);
}

MpiEnvironment::~MpiEnvironment() {
  if (failures_ != MPI_COMM_NULL) MPI_Comm_free(&failures_);
  MPI_Finalize();
}

int MpiEnvironment::fail(ExitCode code, const std::string& line) const noexcept {
  const int mine = static_cast<int>(code);
  const int lowest = lowest_if_all_failed(failures_, rank_, mine);
  if (lowest < 0 || lowest / kCodes == rank_) spdlog::error("{}", line);
  if (lowest < 0) MPI_Abort(MPI_COMM_WORLD, mine);
  return lowest % kCodes;
}

}  // namespace resnext
