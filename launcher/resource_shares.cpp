// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/resource_shares.h"

#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

template <typename T>
std::vector<T> part(const std::vector<T>& all, int index, int count) {
  const auto size = static_cast<std::ptrdiff_t>(all.size()) / count;
  return {all.begin() + index * size, all.begin() + (index + 1) * size};
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
  all.gpus = visible_gpus(machine);
  all.cores = machine.cpus;
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
