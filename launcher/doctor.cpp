// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/doctor.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <sstream>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/launch_plan.h"
#include "launcher/programs.h"
#include "launcher/text_file.h"
#include "model/network/cost.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr double kGiB = 1 << 30;

Finding fine(std::string what) {
  return {Verdict::kFine, std::move(what), ""};
}
Finding note(std::string what) {
  return {Verdict::kNote, std::move(what), ""};
}
Finding bad(std::string what, std::string remedy) {
  return {Verdict::kBad, std::move(what), std::move(remedy)};
}

std::string get(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

// The first line that a shell command prints; empty when it fails.
std::string first_line_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::array<char, 256> line{};
  if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return "";
  std::string text = line.data();
  text.erase(text.find_last_not_of(" \n\r") + 1);
  return text;
}

// The part of a path that exists.
fs::path existing_part(fs::path folder) {
  if (folder.empty()) folder = ".";
  while (!fs::exists(folder) && folder.has_relative_path()) {
    folder = folder.has_parent_path() ? folder.parent_path() : fs::path(".");
  }
  return folder;
}

Finding version(const std::string& what, const std::string& command, const std::string& remedy) {
  const std::string line = first_line_of(command + " 2>/dev/null");
  if (!line.empty()) return fine(what + ": " + line);
  return remedy.empty() ? note(what + ": none found") : bad(what + ": none found", remedy);
}

std::vector<Finding> check_versions(const Machine& machine) {
  std::vector<Finding> findings = {
      version("MPI", "mpirun --version", "install Open MPI and add its bin folder to PATH"),
      version("worker", "'" + program_beside("resnext_worker") + "' --version",
              "run resnext_worker --version and see what it lacks")};
  if (machine.gpus == 0) return findings;
  findings.push_back(version("driver",
                             "nvidia-smi --query-gpu=driver_version,name --format=csv,noheader",
                             "install the NVIDIA driver"));
  findings.push_back(version("NCCL", "ldconfig -p | grep -o 'libnccl.so.*'", ""));
  return findings;
}

// All ranks that a run would have here sum a bucket together; the worker measures and checks.
Finding check_all_reduce(const Machine& machine, const RunConfig& config) {
  LaunchOptions options;
  options.worker = program_beside("resnext_worker");
  options.config = "--all-reduce";
  const LaunchPlan plan = make_launch_plan(find_allocation(machine, ""), config, options);
  const std::string line = first_line_of("{\n" + to_shell(plan) + "} 2>/dev/null");
  if (line.starts_with("all_reduce")) return fine(line);
  return bad(fmt::format("all_reduce over {} ranks: no answer", plan.ranks),
             "see what this prints: " + to_shell(plan));
}

double checkpoint_bytes(RunConfig config) {
  if (config.model.classes == 0) config.model.classes = 1000;
  const Cost cost = model_cost(config.model, config.data.size);
  return 8.0 * static_cast<double>(cost.parameters * (config.checkpoint.keep + 2));
}

void print(const Finding& finding) {
  constexpr const char* kWords[] = {"ok  ", "note", "BAD "};
  std::string line = kWords[static_cast<int>(finding.verdict)];
  line += " " + finding.what;
  if (!finding.remedy.empty()) line += "; " + finding.remedy;
  std::puts(line.c_str());
}

}  // namespace

Finding check_gpus(const Machine& machine) {
  const auto set = machine.environment.find("CUDA_VISIBLE_DEVICES");
  if (set == machine.environment.end()) return fine(fmt::format("GPUs: {}", machine.gpus));
  std::set<std::string> seen;
  std::istringstream stream(set->second);
  for (std::string id; std::getline(stream, id, ',');) {
    if (!seen.insert(id).second) {
      return bad(fmt::format("CUDA_VISIBLE_DEVICES={} names {} twice", set->second, id),
                 "name each GPU once: two ranks on one GPU end with 'Duplicate GPU detected'");
    }
  }
  if (static_cast<int>(seen.size()) <= machine.gpus) {
    return fine(fmt::format("GPUs: {} of {} visible", seen.size(), machine.gpus));
  }
  return bad(fmt::format("CUDA_VISIBLE_DEVICES={} names {} GPUs, but there are {}", set->second,
                         seen.size(), machine.gpus),
             "unset it, or name those that nvidia-smi -L lists");
}

Finding check_binding(const Machine& machine, int online) {
  if (machine.cores > 1 || online <= 1) {
    return fine(fmt::format(
        "cores: {} of {} may be used{}", machine.cores, online,
        machine.cpu_quota > 0 ? fmt::format(", limited to {:.1f}", machine.cpu_quota) : ""));
  }
  return bad(fmt::format("this process is bound to one of {} cores", online),
             "start with --bind-to none, or ask Slurm for --cpus-per-task");
}

Finding check_interfaces(const Machine& machine) {
  const Allocation allocation = find_allocation(machine, "");
  const std::string all = fmt::format("{}", fmt::join(machine.interfaces, ", "));
  if (allocation.virtual_interfaces.empty()) return fine("network interfaces: " + all);
  return note(
      fmt::format("network interfaces: {}; {} lead to no other host and are left out of "
                  "runs on several hosts (--interface names one)",
                  all, fmt::join(allocation.virtual_interfaces, ", ")));
}

Finding check_locking(const std::string& folder, const Environment& environment) {
  const std::string shown = folder.empty() ? "this folder" : folder;
  const std::string setting = get(environment, "HDF5_USE_FILE_LOCKING");
  if (setting == "FALSE" || setting == "0") return fine("HDF5: file locking is off");
  const fs::path file = existing_part(folder) / fmt::format(".resnext_lock_{}", ::getpid());
  const int descriptor = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return note(fmt::format("HDF5: {} cannot be written, so locking there is not tried",
                            file.parent_path().string()));
  }
  const bool locked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  const std::string why = locked ? "" : std::strerror(errno);
  ::close(descriptor);
  ::unlink(file.c_str());
  if (locked) return fine(fmt::format("HDF5: files in {} can be locked", shown));
  return bad(fmt::format("HDF5: files in {} cannot be locked: {}", shown, why),
             "set HDF5_USE_FILE_LOCKING=FALSE");
}

Finding check_space(const std::string& folder, double needed_bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(existing_part(folder), error);
  if (error) return bad(folder + ": " + error.message(), "name another run.output");
  const auto free = static_cast<double>(space.available);
  const std::string figures = fmt::format("{}: {:.1f} GiB free, checkpoints need {:.1f}", folder,
                                          free / kGiB, needed_bytes / kGiB);
  if (free >= needed_bytes) return fine(figures);
  return bad(figures, "free space or name another run.output");
}

int execute(const DoctorTask& task) {
  const Machine machine = inspect_machine();
  RunConfig config;
  if (!task.config.empty()) config = read_run_config(task.config, task.overrides);
  const auto online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  const auto& train = config.data.train;
  const std::string data = train.empty() ? "" : fs::path(train.front()).parent_path().string();
  // Each is told before the next begins, which may hang: the sum over all ranks comes last.
  const std::function<std::vector<Finding>()> checks[] = {
      [&] { return check_versions(machine); },
      [&] { return std::vector{check_gpus(machine)}; },
      [&] { return std::vector{check_binding(machine, online)}; },
      [&] { return std::vector{check_interfaces(machine)}; },
      [&] { return std::vector{check_locking(data, machine.environment)}; },
      [&] { return std::vector{check_space(config.run.output, checkpoint_bytes(config))}; },
      [&] { return std::vector{check_all_reduce(machine, config)}; }};
  bool healthy = true;
  for (const auto& check : checks) {
    for (const Finding& finding : check()) {
      print(finding);
      std::fflush(stdout);
      healthy = healthy && finding.verdict != Verdict::kBad;
    }
  }
  return healthy ? 0 : static_cast<int>(ExitCode::kConfig);
}

}  // namespace resnext
