// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/staging.h"

#include <spdlog/fmt/fmt.h>

namespace resnext {
namespace {

// $1: folder, then pairs of file and copy. A copy has its name only when it is whole.
constexpr const char* kCopy = R"(mkdir -p "$1" || exit; shift
while [ $# -gt 0 ]; do
  [ "$2" -nt "$1" ] || { cp "$1" "$2.partial" && mv "$2.partial" "$2"; } || exit; shift 2
done)";

std::vector<std::string> once_a_host(const Allocation& allocation) {
  if (allocation.scheduler == Scheduler::kSlurm) {
    return {"srun", "--mpi=none", fmt::format("--nodes={}", allocation.nodes),
            fmt::format("--ntasks={}", allocation.nodes), "--ntasks-per-node=1"};
  }
  if (allocation.scheduler == Scheduler::kLocal) return {};
  std::vector<std::string> names;
  for (const Host& host : allocation.hosts) names.push_back(host.name);
  return {"mpirun", "--host", fmt::format("{}", fmt::join(names, ",")), "--map-by", "ppr:1:node"};
}

}  // namespace

StagePlan make_stage_plan(const Allocation& allocation, const RunConfig& config,
                          const std::string& folder) {
  StagePlan plan;
  std::vector<std::string> pairs;
  const auto stage = [&](const std::string& key, const std::string& file) {
    if (file.empty()) return;
    const std::string copy = fmt::format("{}/{}.h5", folder, key);
    pairs.insert(pairs.end(), {file, copy});
    plan.overrides.push_back(fmt::format("data.{}={}", key, copy));
  };
  stage("train", config.data.train);
  stage("validation", config.data.validation);
  if (pairs.empty()) return plan;
  plan.argv = once_a_host(allocation);
  plan.argv.insert(plan.argv.end(), {"sh", "-c", kCopy, "stage", folder});
  plan.argv.insert(plan.argv.end(), pairs.begin(), pairs.end());
  return plan;
}

}  // namespace resnext
