// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/resource_shares.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "comm/common/error.h"

namespace resnext {
namespace {

using Cores = std::vector<std::vector<int>>;

template <typename T>
std::vector<T> part(const std::vector<T>& all, int index, int count) {
  if (all.empty()) return {};
  const auto size = static_cast<std::ptrdiff_t>(all.size()) / count;
  return {all.begin() + index * size, all.begin() + (index + 1) * size};
}

void check_count(size_t there, const char* what, int groups, int together) {
  if (there >= static_cast<size_t>(groups)) return;
  const size_t most = there * static_cast<size_t>(together);
  throw ConfigError("--parallel",
                    fmt::format("there {} {} {}{}", there == 1 ? "is" : "are", there, what,
                                together > 1 ? fmt::format(", for {} trials each", together) : ""),
                    fmt::format("use --parallel {} or less{}", most,
                                together > 1 ? "" : ", or --trials-per-gpu"));
}

// Takes the first cores of `free` that `fits` and brings `mine` to `size` with them.
template <typename Fits>
void take(Cores& free, Cores& mine, size_t size, const Fits& fits) {
  Cores left;
  for (std::vector<int>& core : free) {
    Cores& to = mine.size() < size && fits(core) ? mine : left;
    to.push_back(std::move(core));
  }
  free = std::move(left);
}

// First each its near cores, so that nobody takes them for want of others.
void share_out_cores(const Resources& all, std::vector<Resources>& groups) {
  const size_t size = all.usable_cores / groups.size();
  Cores free = all.cores;
  for (Resources& group : groups) {
    std::set<int> near;
    for (const std::vector<int>& cpus : group.near) near.insert(cpus.begin(), cpus.end());
    take(free, group.cores, size,
         [&](const std::vector<int>& core) { return near.contains(core.front()); });
  }
  for (Resources& group : groups) {
    take(free, group.cores, size, [](const std::vector<int>&) { return true; });
    group.usable_cores = size;
  }
}

std::vector<Resources> make_groups(const Resources& all, int count) {
  std::vector<Resources> groups;
  for (int i = 0; i < count; ++i) {
    groups.push_back({part(all.gpus, i, count), part(all.near, i, count), {}, 0});
  }
  share_out_cores(all, groups);
  return groups;
}

// The share of one of the `count` trials of a group.
Resources share_of(const Resources& group, int index, int count) {
  Resources share = group;
  if (group.cores.size() < static_cast<size_t>(count)) return share;
  share.cores = part(group.cores, index, count);
  share.usable_cores = share.cores.size();
  return share;
}

}  // namespace

std::vector<Resources> share_out(const Resources& all, int trials, int together) {
  const int count = (trials + together - 1) / together;
  if (!all.gpus.empty()) check_count(all.gpus.size(), "GPUs", count, together);
  check_count(all.usable_cores, "cores", count, together);
  const std::vector<Resources> groups = make_groups(all, count);
  std::vector<Resources> shares;
  for (int i = 0; i < trials; ++i) {
    const int group = i % count;
    const int members = (trials - group + count - 1) / count;
    shares.push_back(share_of(groups[static_cast<size_t>(group)], i / count, members));
  }
  return shares;
}

std::vector<std::string> gpus_by_rank(const Resources& here, int ranks, int cores_per_rank) {
  std::vector<size_t> order;
  std::set<size_t> left;
  for (size_t i = 0; i < here.gpus.size(); ++i) left.insert(i);
  const auto is_near = [&](size_t gpu, int rank) {
    const auto core = static_cast<size_t>(rank) * static_cast<size_t>(cores_per_rank);
    return core < here.cores.size() && gpu < here.near.size() &&
           std::ranges::find(here.near[gpu], here.cores[core].front()) != here.near[gpu].end();
  };
  for (int rank = 0; rank < ranks && !left.empty(); ++rank) {
    const auto near = std::ranges::find_if(left, [&](size_t gpu) { return is_near(gpu, rank); });
    const size_t chosen = near == left.end() ? *left.begin() : *near;
    order.push_back(chosen);
    left.erase(chosen);
  }
  order.insert(order.end(), left.begin(), left.end());
  if (std::ranges::is_sorted(order)) return {};
  std::vector<std::string> gpus;
  for (const size_t gpu : order) gpus.push_back(here.gpus[gpu]);
  return gpus;
}

}  // namespace resnext
