// Looks at this host: cores in the affinity mask, control group, GPUs, network interfaces.
// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "launcher/allocation.h"
#include "launcher/topology.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

double ratio(const std::string& quota, const std::string& period) {
  try {
    const double q = std::stod(quota);
    const double p = std::stod(period);
    return q > 0 && p > 0 ? q / p : 0;
  } catch (const std::exception&) {  // "max", or no such file
    return 0;
  }
}

// Control groups of version 2 ("200000 100000" or "max 100000"), then of version 1.
double cpu_quota() {
  const std::string line = first_line("/sys/fs/cgroup/cpu.max");
  const auto space = line.find(' ');
  if (space != line.npos) return ratio(line.substr(0, space), line.substr(space + 1));
  return ratio(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
               first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
}

bool is_gpu_device(const std::string& name) {
  constexpr std::string_view kPrefix = "nvidia";
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         std::ranges::all_of(name.substr(kPrefix.size()),
                             [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

// Of lines such as "GPU UUID: \t GPU-5ab1...".
std::string value_of(const fs::path& file, std::string_view key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with(key)) continue;
    const auto begin = line.find_first_not_of(": \t", key.size());
    return begin == line.npos ? "" : line.substr(begin, line.find_last_not_of(" \t") + 1 - begin);
  }
  return "";
}

Environment whole_environment() {
  Environment all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != text.npos) all[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return all;
}

}  // namespace

std::vector<GpuDevice> gpu_devices(const fs::path& driver, const fs::path& devices) {
  std::vector<GpuDevice> gpus;
  for (const std::string& address : names_in(driver)) {
    const fs::path information = driver / address / "information";
    const std::string minor = value_of(information, "Device Minor");
    if (minor.empty() || !fs::exists(devices / ("nvidia" + minor))) continue;
    gpus.push_back({address, value_of(information, "GPU UUID"), {}});
  }
  return gpus;
}

Machine inspect_machine() {
  const Topology topology;
  Machine machine;
  machine.cpus = topology.cores();
  machine.cores = std::max<int>(1, static_cast<int>(machine.cpus.size()));
  machine.cpu_quota = cpu_quota();
  machine.gpus = static_cast<int>(std::ranges::count_if(names_in("/dev"), is_gpu_device));
  machine.gpu_devices = gpu_devices("/proc/driver/nvidia/gpus", "/dev");
  for (GpuDevice& gpu : machine.gpu_devices) gpu.near = topology.near(gpu.pci_address);
  machine.interfaces = names_in("/sys/class/net");
  std::erase(machine.interfaces, "lo");
  machine.root = ::geteuid() == 0;
  machine.environment = whole_environment();
  return machine;
}

}  // namespace resnext
