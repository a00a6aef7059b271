// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/allocation.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "comm/common/error.h"

namespace resnext {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string get(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

// -1 when `text` is not a whole number.
int to_int(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

Host parse_host(const std::string& text) {
  const auto colon = text.rfind(':');
  const Host host{text.substr(0, colon), colon == text.npos ? 0 : to_int(text.substr(colon + 1))};
  if (host.name.empty() || host.slots < 0 || (colon != text.npos && host.slots == 0)) {
    throw ConfigError("--hosts", fmt::format("'{}' is not HOST or HOST:RANKS", text),
                      "write a list such as a:8,b:8");
  }
  return host;
}

// With CUDA_VISIBLE_DEVICES="3,5" a process sees two devices; with "" or "-1", none.
int visible_gpus(const Machine& machine) {
  const auto set = machine.environment.find("CUDA_VISIBLE_DEVICES");
  if (set == machine.environment.end()) return machine.gpus;
  int count = 0;
  for (const std::string& id : split(set->second, ',')) {
    if (id.starts_with('-')) break;
    ++count;
  }
  return std::min(count, machine.gpus);
}

int usable_cores(const Machine& machine) {
  if (machine.cpu_quota <= 0) return std::max(1, machine.cores);
  return std::clamp(static_cast<int>(std::floor(machine.cpu_quota)), 1, machine.cores);
}

bool is_virtual(const std::string& interface) {
  constexpr const char* kPrefixes[] = {"docker", "virbr", "lxc",     "lxdbr", "br-",
                                       "veth",   "cni",   "flannel", "cali",  "podman"};
  return std::ranges::any_of(kPrefixes, [&](const char* p) { return interface.starts_with(p); });
}

Allocation of_machine(const Machine& machine) {
  Allocation allocation;
  allocation.gpus_per_node = visible_gpus(machine);
  allocation.cores_per_node = usable_cores(machine);
  allocation.may_bind = allocation.cores_per_node == machine.cores;
  std::ranges::copy_if(machine.interfaces, std::back_inserter(allocation.virtual_interfaces),
                       is_virtual);
  allocation.root = machine.root;
  allocation.environment = machine.environment;
  return allocation;
}

// The other hosts are taken to be like this one.
Allocation of_hosts(const Machine& machine, const std::string& hosts) {
  Allocation allocation = of_machine(machine);
  allocation.scheduler = Scheduler::kHosts;
  for (const std::string& text : split(hosts, ',')) allocation.hosts.push_back(parse_host(text));
  for (const Host& host : allocation.hosts) {
    if (host.slots != allocation.hosts.front().slots) {
      throw ConfigError("--hosts",
                        fmt::format("'{}' has another number of ranks than '{}'", host.name,
                                    allocation.hosts.front().name),
                        "give every host the same number of ranks");
    }
  }
  allocation.nodes = static_cast<int>(allocation.hosts.size());
  allocation.tasks_per_node = allocation.hosts.front().slots;
  return allocation;
}

// The figure that all nodes share; 0 when the variable is not there.
int uniform(const Environment& environment, const char* variable, const char* option) {
  const std::vector<int> counts = expand_counts(get(environment, variable));
  if (counts.empty()) return 0;
  if (std::ranges::adjacent_find(counts, std::ranges::not_equal_to{}) != counts.end()) {
    throw ConfigError(variable,
                      fmt::format("'{}' differs from node to node", get(environment, variable)),
                      fmt::format("submit the job with {}", option));
  }
  return counts.front();
}

// "8", "h100:8" or "gpu:h100:8(S:0-1)" -> 8; 0 when it says nothing.
int gpu_count(std::string text) {
  text = text.substr(0, text.find('('));
  const auto colon = text.rfind(':');
  return std::max(0, to_int(colon == text.npos ? text : text.substr(colon + 1)));
}

Allocation of_slurm(const Machine& machine) {
  const Environment& env = machine.environment;
  Allocation allocation = of_machine(machine);
  allocation.scheduler = Scheduler::kSlurm;
  allocation.nodes = std::max(1, to_int(get(env, "SLURM_JOB_NUM_NODES")));
  allocation.tasks_per_node = std::max(0, to_int(get(env, "SLURM_NTASKS_PER_NODE")));
  if (allocation.tasks_per_node == 0 && !get(env, "SLURM_NTASKS").empty()) {
    allocation.tasks_per_node =
        uniform(env, "SLURM_TASKS_PER_NODE", "--ntasks-per-node instead of --ntasks");
  }
  allocation.gpus_per_node = gpu_count(get(env, "SLURM_GPUS_ON_NODE"));
  if (allocation.gpus_per_node == 0) {
    allocation.gpus_per_node = gpu_count(get(env, "SLURM_GPUS_PER_NODE"));
  }
  const int cores = uniform(env, "SLURM_JOB_CPUS_PER_NODE", "--cpus-per-task");
  if (cores > 0) allocation.cores_per_node = cores;
  allocation.cores_per_task = std::max(0, to_int(get(env, "SLURM_CPUS_PER_TASK")));
  return allocation;
}

}  // namespace

std::vector<int> expand_counts(const std::string& text) {
  std::vector<int> counts;
  for (const std::string& part : split(text, ',')) {
    const auto open = part.find("(x");
    const int count = to_int(part.substr(0, open));
    const int times = open == part.npos ? 1 : to_int(part.substr(open + 2, part.size() - open - 3));
    if (count < 0 || times < 1) {
      throw ConfigError("Slurm", fmt::format("'{}' is not a list of counts", text),
                        "report this Slurm's version");
    }
    counts.insert(counts.end(), static_cast<size_t>(times), count);
  }
  return counts;
}

Allocation find_allocation(const Machine& machine, const std::string& hosts) {
  if (!hosts.empty()) return of_hosts(machine, hosts);
  if (!get(machine.environment, "SLURM_JOB_ID").empty()) return of_slurm(machine);
  return of_machine(machine);
}

}  // namespace resnext
