// SPDX-License-Identifier: BSD-3-Clause
#include "comm/cuda_device.h"

#include <cuda_runtime_api.h>
#include <mpi.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "comm/cuda_check.h"
#include "comm/cuda_topology.h"
#include "comm/mpi_check.h"
#include "comm/nccl_check.h"
#include "comm/nccl_communicator.h"
#include "comm/watch/watch.h"

namespace resnext {
namespace {

constexpr const char* kVisible = "CUDA_VISIBLE_DEVICES";
constexpr int kSharesDevices = 23000;  // first NCCL that lets ranks share a GPU

// Whether the user has asked that ranks may share a GPU, and NCCL can.
bool may_share() {
  const char* wish = std::getenv("NCCL_MULTI_RANK_GPU_ENABLE");
  return wish != nullptr && std::string_view(wish) == "1" && check_nccl_version() >= kSharesDevices;
}

// The lowest rank of this host.
int host_of(const MpiEnvironment& environment) {
  MPI_Comm host = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, environment.rank(),
                                MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
  int lowest = environment.rank();
  const int code = MPI_Bcast(&lowest, 1, MPI_INT, 0, host);
  MPI_Comm_free(&host);
  check_mpi(code, "MPI_Bcast");
  return lowest;
}

RankDevice describe(const MpiEnvironment& environment, bool share) {
  RankDevice it;
  it.host = host_of(environment);
  it.local_rank = environment.local_rank();
  it.local_size = environment.local_size();
  const cudaError_t code = cudaGetDeviceCount(&it.visible);
  if (code != cudaSuccess) {
    it.visible = 0;
    std::string_view(cudaGetErrorString(code)).copy(it.problem, sizeof(it.problem) - 1);
  }
  if (const auto device = device_of(it.local_rank, it.visible, share)) {
    check_cuda(cudaDeviceGetPCIBusId(it.bus_id, sizeof(it.bus_id), *device),
               "cudaDeviceGetPCIBusId");
  }
  return it;
}

std::vector<RankDevice> gather(const RankDevice& mine, int size) {
  std::vector<RankDevice> all(size);
  check_mpi(MPI_Allgather(&mine, sizeof(RankDevice), MPI_BYTE, all.data(), sizeof(RankDevice),
                          MPI_BYTE, MPI_COMM_WORLD),
            "MPI_Allgather");
  return all;
}

// Before CUDA is asked anything.
void see_own_slice(int local_rank) {
  const char* visible = std::getenv(kVisible);
  const auto slice = own_slice(visible == nullptr ? "" : visible, local_rank);
  if (slice) ::setenv(kVisible, slice->c_str(), 1);
}

}  // namespace

std::optional<int> select_cuda_device(Backend backend, const MpiEnvironment& environment) {
  if (backend == Backend::kMpi) return std::nullopt;
  see_own_slice(environment.local_rank());
  const bool share = may_share();
  const watch::CollectiveWait phase(0);
  const RankDevice mine = describe(environment, share);
  const std::vector<RankDevice> all = gather(mine, environment.size());
  const bool everywhere =
      std::all_of(all.begin(), all.end(), [](const RankDevice& it) { return it.visible > 0; });
  if (backend == Backend::kAuto && !everywhere) return std::nullopt;
  check_devices(all, share);
  const int device = device_of(mine.local_rank, mine.visible, share).value();
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  return device;
}

std::unique_ptr<Communicator> make_nccl_communicator(const CommOptions& options,
                                                     const MpiEnvironment& environment,
                                                     const CudaDevice& device) {
  NcclOptions nccl;
  nccl.device = device.index;
  nccl.timeout_s = options.timeout_s;
  nccl.abort_s = std::min(nccl.abort_s, options.timeout_s);
  nccl.current_stream = device.current_stream;
  // The training thread hangs in a call of CUDA and cannot throw: this is the way out that is left.
  nccl.on_stuck = [](const Error& error) { watch::end_process(error); };
  return std::make_unique<NcclCommunicator>(std::move(nccl));
}

}  // namespace resnext
