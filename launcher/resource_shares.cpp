// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/resource_shares.h"

#include <sched.h>
#include <spdlog/fmt/fmt.h>

#include <sstream>

#include "comm/common/error.h"

namespace resnext {
namespace {

template <typename T>
std::vector<T> part(const std::vector<T>& all, int index, int count) {
  const auto size = static_cast<std::ptrdiff_t>(all.size()) / count;
  return {all.begin() + index * size, all.begin() + (index + 1) * size};
}

std::vector<std::string> gpu_ids(const Machine& machine) {
  const auto set = machine.environment.find("CUDA_VISIBLE_DEVICES");
  std::vector<std::string> ids;
  if (set == machine.environment.end()) {
    for (int i = 0; i < machine.gpus; ++i) ids.push_back(std::to_string(i));
    return ids;
  }
  std::istringstream stream(set->second);
  for (std::string id; std::getline(stream, id, ',') && !id.starts_with('-');) ids.push_back(id);
  if (machine.gpus == 0) ids.clear();
  return ids;
}

void check_count(size_t there, const char* what, int count) {
  if (there >= static_cast<size_t>(count)) return;
  throw ConfigError("--parallel",
                    fmt::format("{} trials at once, but there {} {} {}", count,
                                there == 1 ? "is" : "are", there, what),
                    fmt::format("use --parallel {} or less", there));
}

}  // namespace

Resources resources_of(const Machine& machine) {
  Resources all;
  all.gpus = gpu_ids(machine);
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (::sched_getaffinity(0, sizeof mask, &mask) != 0) return all;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) all.cores.push_back(cpu);
  }
  return all;
}

std::vector<Resources> share_out(const Resources& all, int count) {
  if (!all.gpus.empty()) check_count(all.gpus.size(), "GPUs", count);
  check_count(all.cores.size(), "cores", count);
  std::vector<Resources> shares;
  for (int i = 0; i < count; ++i) {
    shares.push_back({part(all.gpus, i, count), part(all.cores, i, count)});
  }
  return shares;
}

}  // namespace resnext
