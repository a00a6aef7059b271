// What a run may use: hosts, ranks a host, GPUs and cores, on this machine, on a list of hosts, or
// inside a Slurm job.
//
// inspect_machine() looks at this host; find_allocation() is a pure function of what it saw, so
// every kind of machine can be tested anywhere. Local. Throws ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace resnext {

using Environment = std::map<std::string, std::string>;

// What the driver tells of a GPU.
struct GpuDevice {
  std::string pci_address;  // 0000:3b:00.0
  std::string uuid;         // GPU-...
  std::vector<int> near;    // logical CPUs of its NUMA node; empty: all are as near, or not known
};

// What this host offers to this process.
struct Machine {
  int cores = 1;                        // physical cores in the affinity mask
  std::vector<std::vector<int>> cpus;   // of each of them, those of its logical CPUs in the mask;
                                        // in an order in which neighbours share caches and memory
  double cpu_quota = 0;                 // the control group's limit, in CPUs; 0: none
  int gpus = 0;                         // devices in /dev; CUDA_VISIBLE_DEVICES is not looked at
  std::vector<GpuDevice> gpu_devices;   // by PCI address; empty: the driver does not tell
  std::vector<std::string> interfaces;  // of the network, without lo
  bool root = false;
  Environment environment;
};

struct Host {
  std::string name;
  int slots = 0;  // ranks that are to run there; 0: as many as fit
};

// GPUs and cores that are there to be shared out.
struct Resources {
  std::vector<std::string> gpus;        // ids as CUDA_VISIBLE_DEVICES takes them
  std::vector<std::vector<int>> near;   // of each GPU, as in GpuDevice; empty: not known of any
  std::vector<std::vector<int>> cores;  // the logical CPUs of each
  size_t usable_cores = 0;              // of them, all at once: the control group's limit
};

enum class Scheduler { kLocal, kHosts, kSlurm };

struct Allocation {
  Scheduler scheduler = Scheduler::kLocal;
  int nodes = 1;
  std::vector<Host> hosts;  // kHosts only
  int tasks_per_node = 0;   // ranks that the scheduler or the list asks for; 0: it does not say
  int gpus_per_node = 0;
  int cores_per_node = 1;    // that may be used: affinity mask, control group, Slurm
  int cores_per_task = 0;    // Slurm's --cpus-per-task; 0: not said
  bool inside_step = false;  // of srun, whose resources an inner srun must share
  bool may_bind = true;      // false: fewer cores than can be seen, so binding would stack ranks
  Resources here;            // of this host
  std::vector<std::string> virtual_interfaces;  // bridges of containers: no way to other hosts
  bool root = false;
  Environment environment;
};

Machine inspect_machine();

// The GPUs that have a file in `devices` (/dev), as the driver tells of them in `driver`
// (/proc/driver/nvidia/gpus), by PCI address, without `near`.
std::vector<GpuDevice> gpu_devices(const std::filesystem::path& driver,
                                   const std::filesystem::path& devices);

// The ids by which CUDA_VISIBLE_DEVICES names GPUs and MIG slices that are there, or the numbers of
// all. Throws ConfigError when one is named twice.
std::vector<std::string> visible_gpus(const Machine& machine);

Resources resources_of(const Machine& machine);

// The lines "HOST", "HOST:RANKS" or "HOST slots=RANKS" of a file as find_allocation() takes them.
std::string read_hostfile(const std::string& file);

// `hosts`: "a:8,b:8", "a,b" or "" for Slurm's, where there is one, else this machine.
Allocation find_allocation(const Machine& machine, const std::string& hosts);

// "2(x3),1" -> 2, 2, 2, 1: how Slurm writes a figure of each node.
std::vector<int> expand_counts(const std::string& text);

}  // namespace resnext
