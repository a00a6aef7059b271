// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/doctor.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

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

// Hands each line that a shell command prints to `tell`, as it comes.
void read_lines(const std::string& command, const std::function<void(const std::string&)>& tell) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  char* line = nullptr;
  size_t size = 0;
  while (pipe && ::getline(&line, &size, pipe.get()) > 0) {
    std::string text = line;
    text.erase(text.find_last_not_of(" \n\r") + 1);
    tell(text);
  }
  std::free(line);
}

// Empty when it prints nothing.
std::string first_line_of(const std::string& command) {
  std::string first;
  read_lines(command, [&](const std::string& line) {
    if (first.empty()) first = line;
  });
  return first;
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

// A host that cannot be reached may let mpirun wait for ever.
std::string within_limit(LaunchPlan plan) {
  constexpr const char* kLimit_s = "90";
  plan.argv.insert(plan.argv.begin(), {"timeout", kLimit_s});
  plan.notes.clear();
  return to_shell(plan);
}

// All ranks that a run would have sum a bucket together; the worker measures and checks.
Finding check_all_reduce(const Machine& machine, const std::string& hosts,
                         const RunConfig& config) {
  LaunchOptions options;
  options.worker = program_beside("resnext_worker");
  options.config = "--all-reduce";
  const LaunchPlan plan = make_launch_plan(find_allocation(machine, hosts), config, options);
  const std::string line = first_line_of("{\n" + within_limit(plan) + "} 2>/dev/null");
  if (line.starts_with("all_reduce")) return fine(line);
  return bad(fmt::format("all_reduce over {} ranks: no answer", plan.ranks),
             "see what this prints: " + to_shell(plan));
}

double checkpoint_bytes(RunConfig config) {
  if (config.model.classes == 0) config.model.classes = 1000;
  const Cost cost = model_cost(config.model, config.data.size);
  return 8.0 * static_cast<double>(cost.parameters * (config.checkpoint.keep + 2));
}

constexpr const char* kWords[] = {"ok  ", "note", "BAD "};

std::string to_line(const Finding& finding) {
  std::string line = kWords[static_cast<int>(finding.verdict)];
  line += " " + finding.what;
  return finding.remedy.empty() ? line : line + "; " + finding.remedy;
}

// Tells findings as they come.
class Visit {
 public:
  explicit Visit(const DoctorTask& task) : task_(task), machine_(inspect_machine()) {
    if (!task.config.empty()) config_ = read_run_config(task.config, task.overrides);
  }

  // All that one host can say by itself.
  void look_here();
  // The same of another host, by its own launcher.
  void look_at(const std::string& host);
  void measure(const std::string& hosts) {
    tell([&] { return std::vector{check_all_reduce(machine_, hosts, config_)}; });
  }
  bool healthy() const { return healthy_; }
  const Machine& machine() const { return machine_; }

 private:
  using Check = std::function<std::vector<Finding>()>;

  void tell(const Check& check);
  void print(const std::string& line);
  void compare_versions(const std::string& host, const std::string& line);

  const DoctorTask& task_;
  const Machine machine_;
  RunConfig config_;
  bool healthy_ = true;
  std::map<std::string, std::pair<std::string, std::string>> versions_;  // of what: line, host
};

void Visit::print(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

void Visit::tell(const Check& check) {
  std::vector<Finding> findings;
  try {
    findings = check();
  } catch (const Error& error) {
    findings = {bad(error.what(), "")};
  }
  for (const Finding& finding : findings) {
    print(to_line(finding));
    healthy_ = healthy_ && finding.verdict != Verdict::kBad;
  }
}

void Visit::look_here() {
  const auto online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  const auto& train = config_.data.train;
  const std::string data = train.empty() ? "" : fs::path(train.front()).parent_path().string();
  tell([&] { return check_versions(machine_); });
  tell([&] { return std::vector{check_gpus(machine_)}; });
  tell([&] { return std::vector{check_binding(machine_, online)}; });
  tell([&] { return std::vector{check_interfaces(machine_)}; });
  tell([&] { return std::vector{check_locking(data, machine_.environment)}; });
  tell([&] { return std::vector{check_space(config_.run.output, checkpoint_bytes(config_))}; });
}

void Visit::look_at(const std::string& host) {
  LaunchOptions options;
  options.ranks = 1;
  options.worker = this_program();
  options.config = "doctor";
  if (!task_.config.empty()) options.overrides.push_back(task_.config);
  options.overrides.insert(options.overrides.end(), task_.overrides.begin(), task_.overrides.end());
  options.overrides.emplace_back("--alone");
  RunConfig on_cores;
  on_cores.comm.backend = Backend::kMpi;
  const LaunchPlan plan = make_launch_plan(find_allocation(machine_, host), on_cores, options);
  bool answered = false;
  read_lines("{\n" + within_limit(plan) + "} 2>/dev/null", [&](const std::string& line) {
    answered = true;
    print(host + ": " + line);
    healthy_ = healthy_ && !line.starts_with(kWords[static_cast<int>(Verdict::kBad)]);
    compare_versions(host, line);
  });
  if (answered) return;
  tell([&] {
    return std::vector{bad(host + ": no answer", "see what this prints: " + to_shell(plan))};
  });
}

void Visit::compare_versions(const std::string& host, const std::string& line) {
  const std::string what = line.substr(0, line.find(':'));
  if (what != "ok   MPI" && what != "ok   worker") return;
  const auto [first, is_new] = versions_.try_emplace(what, line, host);
  const auto& [other_line, other_host] = first->second;
  if (is_new || other_line == line) return;
  tell([&, other = other_host] {
    return std::vector{bad(fmt::format("{} and {} have different versions", other, host),
                           "install the same on all hosts")};
  });
}

}  // namespace

Finding check_gpus(const Machine& machine) {
  const auto set = machine.environment.find("CUDA_VISIBLE_DEVICES");
  if (set == machine.environment.end() || machine.gpus == 0) {
    return fine(fmt::format("GPUs: {}", machine.gpus));
  }
  std::vector<std::string> seen;
  try {
    seen = visible_gpus(machine);
  } catch (const ConfigError& error) {  // one is named twice
    return bad(error.what(), "");
  }
  const std::string setting = "CUDA_VISIBLE_DEVICES=" + set->second;
  const auto named = std::ranges::count(set->second, ',') + 1;
  if (seen.empty()) {
    return note(fmt::format("GPUs: none, as {} hides all {}", setting, machine.gpus));
  }
  if (std::ssize(seen) == named) {
    return fine(fmt::format("GPUs: {} visible, as {} says; {} in the machine", named, setting,
                            machine.gpus));
  }
  return bad(fmt::format("{} names {}, but CUDA sees {}: it stops at the first that is not there",
                         setting, named, seen.size()),
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

// The sum over all ranks comes last, as it is what may take its time.
int execute(const DoctorTask& task) {
  Visit visit(task);
  const std::string hosts = task.hostfile.empty() ? task.hosts : read_hostfile(task.hostfile);
  if (hosts.empty()) {
    visit.look_here();
  } else {
    for (const Host& host : find_allocation(visit.machine(), hosts).hosts) visit.look_at(host.name);
  }
  if (!task.alone) visit.measure(hosts);
  return visit.healthy() ? 0 : static_cast<int>(ExitCode::kConfig);
}

}  // namespace resnext
