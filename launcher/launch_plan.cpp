// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/launch_plan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "comm/common/console.h"
#include "comm/common/error.h"
#include "comm/common/folder_lock.h"
#include "configs/yaml_reader.h"
#include "launcher/resource_shares.h"

namespace resnext {
namespace {

// Collects the plan; each step looks at what the steps before it have decided.
class Planner {
 public:
  Planner(const Allocation& allocation, const RunConfig& config, const LaunchOptions& options)
      : where_(allocation), config_(config), options_(options) {}

  LaunchPlan plan();

 private:
  bool uses_gpus() const { return config_.comm.backend != Backend::kMpi && gpus() > 0; }
  int gpus() const { return where_.gpus_per_node; }
  bool under_srun() const;
  bool is_set(const char* variable) const { return where_.environment.contains(variable); }

  int listed_ranks() const;
  bool uneven() const;  // a list whose hosts have different numbers of ranks
  int natural_ranks_per_node() const;
  void choose_ranks();
  void choose_threads();
  void choose_interfaces();
  void describe();

  int cores_per_rank() const;
  bool exceeds_slots() const;
  void start_with_mpirun();
  void start_with_srun();
  void add_mpirun_placement();
  void pair_gpus_with_cores();
  void add_mpirun_environment();
  void add(std::initializer_list<std::string> words) {
    plan_.argv.insert(plan_.argv.end(), words.begin(), words.end());
  }
  void set(const std::string& name, const std::string& value) {
    plan_.environment.emplace_back(name, value);
  }
  void note(std::string text) { plan_.notes.push_back(std::move(text)); }

  const Allocation& where_;
  const RunConfig& config_;
  const LaunchOptions& options_;
  int per_node_ = 1;  // ranks
  int threads_ = 1;   // of a rank
  LaunchPlan plan_;
};

bool Planner::under_srun() const {
  if (options_.starter == Starter::kSrun && where_.scheduler != Scheduler::kSlurm) {
    throw ConfigError("--launcher", "srun needs a Slurm job", "use mpirun, or submit with sbatch");
  }
  return options_.starter == Starter::kSrun ||
         (options_.starter == Starter::kAuto && where_.scheduler == Scheduler::kSlurm);
}

// Without GPUs as many ranks as cores, but no more than the global batch can be split over.
int Planner::natural_ranks_per_node() const {
  if (where_.tasks_per_node > 0 && (where_.tasks_per_node > 1 || !uses_gpus())) {
    return where_.tasks_per_node;
  }
  if (uses_gpus()) return gpus();
  int ranks = where_.cores_per_node;
  const int64_t images = config_.batch.global / config_.batch.accumulation;
  if (config_.batch.global > 0) {
    while (ranks > 1 && images % (static_cast<int64_t>(ranks) * where_.nodes) != 0) --ranks;
  }
  return ranks;
}

bool Planner::uneven() const {
  return std::ranges::adjacent_find(where_.hosts, std::ranges::not_equal_to{}, &Host::slots) !=
         where_.hosts.end();
}

int Planner::listed_ranks() const {
  int ranks = 0;
  for (const Host& host : where_.hosts) ranks += host.slots;
  return ranks;
}

void Planner::choose_ranks() {
  if (options_.ranks == 0) {
    per_node_ = natural_ranks_per_node();
    plan_.ranks = uneven() ? listed_ranks() : per_node_ * where_.nodes;
  } else {
    plan_.ranks = options_.ranks;
    per_node_ = (plan_.ranks + where_.nodes - 1) / where_.nodes;
  }
  if (uses_gpus() && per_node_ > gpus()) {
    throw ConfigError(
        "-n",
        fmt::format("{} ranks a host, but {} has {} GPU{}", per_node_,
                    where_.nodes > 1 ? "a host" : "this host", gpus(), gpus() == 1 ? "" : "s"),
        "start one rank a GPU, or set comm.backend=mpi to compute on cores");
  }
  resolve_batch(config_.batch, plan_.ranks);  // throws where it cannot be split
}

int Planner::cores_per_rank() const {
  if (where_.cores_per_task > 0) return where_.cores_per_task;
  return std::max(1, where_.cores_per_node / per_node_);
}

// Inside a Slurm job mpirun takes its slots from the job's tasks.
bool Planner::exceeds_slots() const {
  return where_.scheduler == Scheduler::kSlurm && per_node_ > std::max(1, where_.tasks_per_node);
}

// On a GPU the host's arithmetic is small; its cores are for data.threads.
void Planner::choose_threads() {
  threads_ = uses_gpus() ? 1 : cores_per_rank();
  if (is_set("OMP_NUM_THREADS")) return;
  set("OMP_NUM_THREADS", std::to_string(threads_));
  if (uses_gpus() && config_.data.threads > cores_per_rank()) {
    note(fmt::format("data.threads is {}, but a rank has {} core{}: decoding may fall behind",
                     config_.data.threads, cores_per_rank(), cores_per_rank() == 1 ? "" : "s"));
  }
}

// Between hosts only: bridges of containers lead nowhere, yet both libraries would try them.
void Planner::choose_interfaces() {
  if (where_.nodes == 1) return;
  const auto set_unless_set = [this](const char* name, const std::string& value) {
    if (!is_set(name)) set(name, value);
  };
  if (!options_.interface.empty()) {
    set_unless_set("OMPI_MCA_btl_tcp_if_include", options_.interface);
    set_unless_set("OMPI_MCA_oob_tcp_if_include", options_.interface);
    set_unless_set("NCCL_SOCKET_IFNAME", options_.interface);
    return;
  }
  const std::string bridges = fmt::format("{}", fmt::join(where_.virtual_interfaces, ","));
  if (!bridges.empty() && !is_set("OMPI_MCA_btl_tcp_if_include")) {
    set_unless_set("OMPI_MCA_btl_tcp_if_exclude", "lo," + bridges);
    set_unless_set("OMPI_MCA_oob_tcp_if_exclude", "lo," + bridges);
  }
  if (uses_gpus()) {
    set_unless_set("NCCL_SOCKET_IFNAME", bridges.empty() ? "^lo" : "^lo," + bridges);
  }
}

void Planner::describe() {
  note(fmt::format("{} rank{} on {} host{}, {} a host, {}, {} thread{} a rank", plan_.ranks,
                   plan_.ranks == 1 ? "" : "s", where_.nodes, where_.nodes == 1 ? "" : "s",
                   per_node_, uses_gpus() ? "one GPU each" : "on cores", threads_,
                   threads_ == 1 ? "" : "s"));
  if (where_.scheduler == Scheduler::kHosts) {
    note("the other hosts are taken to have this host's GPUs, cores and folders");
  }
}

// Ranks on GPUs get their share of the cores; ranks on cores are left to the kernel, which knows
// better where other programs run. More ranks than cores must give way while they wait.
void Planner::add_mpirun_placement() {
  const bool listed = where_.scheduler == Scheduler::kHosts;  // slots are as listed
  const bool crowded = per_node_ > where_.cores_per_node && !listed;
  const bool bind = uses_gpus() && where_.may_bind && !crowded;
  const bool even = plan_.ranks == per_node_ * where_.nodes;
  std::string map = even ? fmt::format("ppr:{}:node", per_node_) : "node";
  if (uneven()) map = "slot";  // as many as listed on each
  if (bind) map += fmt::format(":PE={}", cores_per_rank());
  add({"--map-by", map, "--bind-to", bind ? "core" : "none"});
  if (bind && where_.nodes == 1) pair_gpus_with_cores();
  if (crowded || exceeds_slots()) add({"--oversubscribe"});
  if (crowded) add({"--mca", "mpi_yield_when_idle", "1"});
}

// mpirun deals cores out in hwloc's order, ranks take GPUs in that of CUDA_VISIBLE_DEVICES.
void Planner::pair_gpus_with_cores() {
  const auto gpus = gpus_by_rank(where_.here, per_node_, cores_per_rank());
  if (gpus.empty()) return;
  set("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
  set("CUDA_VISIBLE_DEVICES", fmt::format("{}", fmt::join(gpus, ",")));
}

void Planner::add_mpirun_environment() {
  if (where_.nodes > 1) {
    for (const auto& [name, value] : plan_.environment) {
      if (!name.starts_with("OMPI_MCA_")) add({"-x", name});  // mpirun hands those on by itself
    }
  }
  if (where_.root) {
    set("OMPI_ALLOW_RUN_AS_ROOT", "1");
    set("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
}

void Planner::start_with_mpirun() {
  add({"mpirun", "-np", std::to_string(plan_.ranks)});
  plan_.under_mpirun = true;
  // A lost rank takes the others down after a second, in which they can say what they know.
  add({"--mca", "odls_base_sigkill_timeout", "1"});
  if (where_.scheduler == Scheduler::kHosts) {
    std::vector<std::string> hosts;
    for (const Host& host : where_.hosts) {
      hosts.push_back(fmt::format("{}:{}", host.name, uneven() ? host.slots : per_node_));
    }
    add({"--host", fmt::format("{}", fmt::join(hosts, ","))});
  }
  add_mpirun_placement();
  if (!options_.rank_logs.empty()) {
    add({"--output-filename", options_.rank_logs});
  } else if (!options_.terminal.empty()) {  // logs are plain text
    set(kTerminalVariable, options_.terminal);
  }
  add_mpirun_environment();
}

void Planner::start_with_srun() {
  add({"srun", "--mpi=pmix", "--kill-on-bad-exit=1", fmt::format("--nodes={}", where_.nodes),
       fmt::format("--ntasks={}", plan_.ranks), fmt::format("--ntasks-per-node={}", per_node_)});
  // Since Slurm 22.05 a step does not inherit the job's figure.
  if (where_.inside_step) add({"--overlap"});  // the step we are in holds them all
  if (where_.cores_per_task > 0) add({fmt::format("--cpus-per-task={}", where_.cores_per_task)});
  if (per_node_ > where_.cores_per_node) add({"--overcommit"});
  if (!options_.rank_logs.empty()) {
    add({fmt::format("--output={}/rank-%t.log", options_.rank_logs), "--open-mode=append"});
    plan_.only_rank_logs = true;
  }
}

LaunchPlan Planner::plan() {
  choose_ranks();
  choose_threads();
  choose_interfaces();
  if (!options_.lock_token.empty()) set(kLauncherLockVariable, options_.lock_token);
  describe();
  plan_.rank_logs = options_.rank_logs;
  const bool alone = plan_.ranks == 1 && options_.rank_logs.empty();
  if (under_srun()) {
    start_with_srun();
  } else if (!alone || where_.scheduler == Scheduler::kHosts) {
    start_with_mpirun();
  }
  add({options_.worker, options_.config});
  if (options_.quiet) add({"--quiet"});
  plan_.argv.insert(plan_.argv.end(), options_.overrides.begin(), options_.overrides.end());
  return std::move(plan_);
}

std::string quote(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,%+@^";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

LaunchPlan make_launch_plan(const Allocation& allocation, const RunConfig& config,
                            const LaunchOptions& options) {
  return Planner(allocation, config, options).plan();
}

std::string to_shell(const LaunchPlan& plan) {
  std::string text;
  for (const std::string& line : plan.notes) text += "# " + line + "\n";
  for (const auto& [name, value] : plan.environment) text += name + "=" + quote(value) + " \\\n";
  std::vector<std::string> words;
  std::ranges::transform(plan.argv, std::back_inserter(words), quote);
  return text + fmt::format("{}\n", fmt::join(words, " "));
}

}  // namespace resnext
