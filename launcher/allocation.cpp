// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/allocation.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
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

bool is_host_name(const std::string& text) {
  return !text.empty() && text.front() != '-' && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

Host parse_host(const std::string& text) {
  const auto colon = text.rfind(':');
  const Host host{text.substr(0, colon), colon == text.npos ? 0 : to_int(text.substr(colon + 1))};
  if (host.name.find(':') != host.name.npos || text.starts_with('[')) {
    throw ConfigError("--hosts",
                      fmt::format("'{}' is an IPv6 address, which mpirun cannot read", text),
                      "give the host's name, as in /etc/hosts, or its IPv4 address");
  }
  if (!is_host_name(host.name) || host.slots < 0 || (colon != text.npos && host.slots == 0)) {
    throw ConfigError("--hosts", fmt::format("'{}' is not HOST or HOST:RANKS", text),
                      "write a list such as a:8,b:8");
  }
  return host;
}

std::vector<Host> parse_hosts(const std::string& text) {
  std::vector<Host> hosts;
  for (const std::string& part : split(text, ',')) {
    hosts.push_back(parse_host(part));
    const Host& host = hosts.back();
    if (std::ranges::count(hosts, host.name, &Host::name) > 1) {
      throw ConfigError("--hosts", fmt::format("'{}' is given twice", host.name),
                        "name each host once, with all its ranks");
    }
    if ((host.slots == 0) != (hosts.front().slots == 0)) {
      throw ConfigError("--hosts",
                        fmt::format("'{}' has a number of ranks and '{}' has none",
                                    host.slots > 0 ? host.name : hosts.front().name,
                                    host.slots > 0 ? hosts.front().name : host.name),
                        "give every host a number, or none");
    }
  }
  return hosts;
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

// By its number, or the begin of its UUID, which old names of MIG slices have too; nullptr where
// the driver does not tell. CUDA numbers equal GPUs by PCI address.
const GpuDevice* find_gpu(const Machine& machine, const std::string& id) {
  const std::vector<GpuDevice>& all = machine.gpu_devices;
  if (const int number = to_int(id); number >= 0) {
    return static_cast<size_t>(number) < all.size() ? &all[static_cast<size_t>(number)] : nullptr;
  }
  constexpr std::string_view kSlice = "MIG-GPU-";
  const std::string uuid =
      id.starts_with(kSlice) ? id.substr(4, id.find('/') - 4) : id;  // MIG-GPU-.../7/0
  const auto found =
      std::ranges::find_if(all, [&](const GpuDevice& gpu) { return gpu.uuid.starts_with(uuid); });
  return found == all.end() ? nullptr : &*found;
}

Allocation of_machine(const Machine& machine) {
  Allocation allocation;
  allocation.gpus_per_node = static_cast<int>(visible_gpus(machine).size());
  allocation.cores_per_node = usable_cores(machine);
  allocation.may_bind = allocation.cores_per_node == machine.cores;
  allocation.here = resources_of(machine);
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
  allocation.hosts = parse_hosts(hosts);
  allocation.nodes = static_cast<int>(allocation.hosts.size());
  allocation.tasks_per_node = std::ranges::max(allocation.hosts, {}, &Host::slots).slots;
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

// Of srun; the batch script's and salloc's own shell have numbers from 4294967290 on.
bool is_step(const std::string& id) {
  return to_int(id) >= 0;  // those do not fit an int
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
  // On mixed nodes every rank gets what the smallest has for it.
  const std::vector<int> cores = expand_counts(get(env, "SLURM_JOB_CPUS_PER_NODE"));
  if (!cores.empty() && std::ranges::min(cores) > 0) {
    allocation.cores_per_node = std::ranges::min(cores);
  }
  allocation.inside_step = is_step(get(env, "SLURM_STEP_ID"));
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

// CUDA stops reading at the first id that it does not know.
std::vector<std::string> visible_gpus(const Machine& machine) {
  std::vector<std::string> ids;
  const auto set = machine.environment.find("CUDA_VISIBLE_DEVICES");
  if (set == machine.environment.end()) {
    for (int i = 0; i < machine.gpus; ++i) ids.push_back(std::to_string(i));
    return ids;
  }
  if (machine.gpus == 0) return ids;
  for (const std::string& id : split(set->second, ',')) {
    const bool named = id.starts_with("GPU-") || id.starts_with("MIG-");
    if (!named && (to_int(id) < 0 || to_int(id) >= machine.gpus)) break;
    if (std::ranges::find(ids, id) != ids.end()) {
      throw ConfigError("CUDA_VISIBLE_DEVICES", fmt::format("names {} twice", id),
                        "name each GPU once: two ranks would share it");
    }
    ids.push_back(id);
  }
  return ids;
}

Resources resources_of(const Machine& machine) {
  Resources all;
  all.gpus = visible_gpus(machine);
  for (const std::string& id : all.gpus) {
    const GpuDevice* gpu = find_gpu(machine, id);
    all.near.push_back(gpu == nullptr ? std::vector<int>{} : gpu->near);
  }
  all.cores = machine.cpus;
  all.usable_cores = std::min<size_t>(all.cores.size(), usable_cores(machine));
  return all;
}

std::string read_hostfile(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) throw ConfigError(file, "cannot be read", "name a file with a host on each line");
  std::string hosts;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string host;
    std::string slots;
    std::string more;
    if (!(words >> host)) continue;
    constexpr std::string_view kSlots = "slots=";
    const bool known = !(words >> slots) || (slots.starts_with(kSlots) && !(words >> more));
    if (!known) {
      throw ConfigError(fmt::format("{}:{}", file, number), fmt::format("'{}' is not a host", line),
                        "write HOST, HOST:RANKS or HOST slots=RANKS");
    }
    if (!hosts.empty()) hosts += ',';
    hosts += slots.empty() ? host : host + ":" + slots.substr(kSlots.size());
  }
  if (hosts.empty()) throw ConfigError(file, "names no host", "write a host on each line");
  return hosts;
}

Allocation find_allocation(const Machine& machine, const std::string& hosts) {
  if (!hosts.empty()) return of_hosts(machine, hosts);
  if (!get(machine.environment, "SLURM_JOB_ID").empty()) return of_slurm(machine);
  return of_machine(machine);
}

}  // namespace resnext
