// Looks at this host: cores in the affinity mask, control group, GPUs, network interfaces.
// SPDX-License-Identifier: BSD-3-Clause
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "launcher/allocation.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

// Two hardware threads of a core have the same list of siblings.
std::vector<std::vector<int>> cpus_by_core() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (::sched_getaffinity(0, sizeof mask, &mask) != 0) return {};
  std::vector<std::vector<int>> cores;
  std::map<std::string, size_t> places;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
    const std::string siblings = first_line(folder + "/topology/thread_siblings_list");
    const auto [place, is_new] =
        places.emplace(siblings.empty() ? std::to_string(cpu) : siblings, cores.size());
    if (is_new) cores.emplace_back();
    cores[place->second].push_back(cpu);
  }
  return cores;
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

Machine inspect_machine() {
  Machine machine;
  machine.cpus = cpus_by_core();
  machine.cores = std::max<int>(1, static_cast<int>(machine.cpus.size()));
  machine.cpu_quota = cpu_quota();
  machine.gpus = static_cast<int>(std::ranges::count_if(names_in("/dev"), is_gpu_device));
  machine.interfaces = names_in("/sys/class/net");
  std::erase(machine.interfaces, "lo");
  machine.root = ::geteuid() == 0;
  machine.environment = whole_environment();
  return machine;
}

}  // namespace resnext
