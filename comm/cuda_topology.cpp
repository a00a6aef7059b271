// SPDX-License-Identifier: BSD-3-Clause
#include "comm/cuda_topology.h"

#include <spdlog/fmt/fmt.h>

#include <map>
#include <sstream>
#include <string>
#include <utility>

#include "comm/common/error.h"

namespace resnext {
namespace {

void check_one(size_t rank, const RankDevice& it, bool share) {
  if (it.visible == 0) {
    throw ConfigError("comm.backend",
                      fmt::format("nccl needs a GPU, but rank {} sees none ({})", rank, it.problem),
                      "see what nvidia-smi and CUDA_VISIBLE_DEVICES say on its host, or set "
                      "comm.backend to mpi");
  }
  if (!device_of(it.local_rank, it.visible, share)) {
    throw ConfigError(
        "comm.backend",
        fmt::format("the host of rank {} runs {} ranks but has {} GPUs for them", rank,
                    it.local_size, it.visible),
        fmt::format("start at most {} ranks on a host, or set comm.backend to mpi", it.visible));
  }
}

}  // namespace

std::optional<int> device_of(int local_rank, int visible, bool share) {
  if (visible == 0) return std::nullopt;
  if (visible == 1) return 0;
  if (share) return local_rank % visible;
  return local_rank < visible ? std::optional(local_rank) : std::nullopt;
}

std::optional<std::string> own_slice(std::string_view visible, int local_rank) {
  std::istringstream list{std::string(visible)};
  std::string id;
  for (int i = 0; std::getline(list, id, ','); ++i) {
    if (!id.starts_with("MIG-")) return std::nullopt;
    if (i == local_rank) return id;
  }
  return std::nullopt;
}

void check_devices(const std::vector<RankDevice>& ranks, bool share) {
  std::map<std::pair<int, std::string>, size_t> owner;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankDevice& it = ranks[rank];
    check_one(rank, it, share);
    const auto [first, is_new] = owner.try_emplace({it.host, it.bus_id}, rank);
    if (is_new || share) continue;
    throw ConfigError(
        "comm.backend",
        fmt::format("ranks {} and {} are on the same GPU ({}); nccl needs one GPU a rank",
                    first->second, rank, it.bus_id),
        "start fewer ranks on a host, let each rank see a GPU of its own (srun --gpus-per-task=1), "
        "or set comm.backend to mpi; NCCL from 2.30 on shares a GPU with "
        "NCCL_MULTI_RANK_GPU_ENABLE=1");
  }
}

}  // namespace resnext
