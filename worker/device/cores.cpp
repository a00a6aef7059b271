// SPDX-License-Identifier: BSD-3-Clause
#include "worker/device/cores.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "comm/common/host.h"

namespace resnext {
namespace {

RankCores my_cores() {
  RankCores mine;
  mine.host = std::hash<std::string>()(host_name());
  CPU_ZERO(&mine.cores);
  ::sched_getaffinity(0, sizeof mine.cores, &mine.cores);
  return mine;
}

bool share(const RankCores& a, const RankCores& b) {
  cpu_set_t both;
  CPU_AND(&both, &a.cores, &b.cores);
  return a.host == b.host && CPU_COUNT(&both) > 0;
}

}  // namespace

int threads_for(const RankCores& mine, std::span<const RankCores> all) {
  const auto sharing =
      std::ranges::count_if(all, [&](const RankCores& other) { return share(mine, other); });
  return std::max(1, CPU_COUNT(&mine.cores) / std::max(1, static_cast<int>(sharing)));
}

int compute_threads(Communicator& communicator) {
  RankCores mine = my_cores();
  std::vector<RankCores> all(static_cast<size_t>(communicator.size()));
  communicator.all_gather({&mine, sizeof mine, DataType::kUint8},
                          {all.data(), all.size() * sizeof mine, DataType::kUint8});
  const char* set = std::getenv("OMP_NUM_THREADS");
  return set != nullptr ? std::max(1, std::atoi(set)) : threads_for(mine, all);
}

}  // namespace resnext
