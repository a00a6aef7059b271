// SPDX-License-Identifier: BSD-3-Clause
#include "worker/session.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <sched.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "comm/common/file_system.h"
#include "comm/make_communicator.h"
#include "comm/tensor_collectives.h"
#include "configs/yaml_reader.h"
#include "model/layout_timing.h"
#include "worker/bandwidth.h"
#include "worker/device/device.h"
#include "worker/evaluator.h"
#include "worker/input/data_sets.h"
#include "worker/network_learner.h"
#include "worker/state/agreement.h"
#include "worker/state/start_point.h"
#include "worker/stop_signal.h"
#include "worker/trainer.h"

namespace resnext {
namespace {

void print(const MpiEnvironment& environment, const std::string& text) {
  if (environment.rank() != 0) return;
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

// The cores that a rank may use, and on which host.
struct RankCores {
  uint64_t host = 0;
  cpu_set_t cores;
};

RankCores my_cores() {
  RankCores mine;
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  mine.host = std::hash<std::string>()(host);
  CPU_ZERO(&mine.cores);
  ::sched_getaffinity(0, sizeof mine.cores, &mine.cores);
  return mine;
}

// Collective. OMP_NUM_THREADS, else the cores that this process may use, divided among those that
// may use them too.
int compute_threads(Communicator& communicator) {
  RankCores mine = my_cores();
  std::vector<RankCores> all(static_cast<size_t>(communicator.size()));
  communicator.all_gather({&mine, sizeof mine, DataType::kUint8},
                          {all.data(), all.size() * sizeof mine, DataType::kUint8});
  if (const char* set = std::getenv("OMP_NUM_THREADS")) return std::max(1, std::atoi(set));
  const auto sharing = std::ranges::count_if(all, [&](const RankCores& other) {
    cpu_set_t both;
    CPU_AND(&both, &mine.cores, &other.cores);
    return other.host == mine.host && CPU_COUNT(&both) > 0;
  });
  return std::max(1, CPU_COUNT(&mine.cores) / std::max(1, static_cast<int>(sharing)));
}

RunConfig load_config(const CommandLine& line) {
  RunConfig config = read_run_config(line.config, line.overrides);
  if (config.run.name.empty()) config.run.name = std::filesystem::path(line.config).stem().string();
  return config;
}

// Collective. Ranks with different programs, configurations or data would train different networks.
void check_ranks_agree(const RunConfig& config, const DataRecord& data,
                       Communicator& communicator) {
  check_agreement(communicator, {{"program", RESNEXT_VERSION " with LibTorch " TORCH_VERSION,
                                  ExitCode::kConfig, "install one version on all hosts"},
                                 {"configuration", to_yaml(config), ExitCode::kConfig,
                                  "give every rank the same file and overrides"},
                                 {"data", to_json(data).dump(1), ExitCode::kData,
                                  "give every host the same files"}});
}

void set_up_torch(const RunConfig& config, int threads) {
  at::set_num_threads(threads);
  at::set_num_interop_threads(1);
  at::globalContext().setBenchmarkCuDNN(!config.run.deterministic);  // it remembers each shape's
  if (config.run.deterministic) {
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8",
           /*overwrite=*/0);  // cuBLAS wants it before it starts
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
    at::globalContext().setDeterministicCuDNN(true);
  }
}

RunShape shape_of(const RunConfig& config, const DataSets& data, const MpiEnvironment& environment,
                  const std::string& backend, const ComputeDevice& device, int threads) {
  RunShape shape;
  shape.world_size = environment.size();
  shape.backend = backend;
  shape.device = device.name();
  shape.device_bytes = device.memory_bytes();
  shape.threads = threads;
  shape.batch = resolve_batch(config.batch, environment.size());
  shape.train_images = data.train ? data.train->count() : 0;
  shape.validation_images = data.validation ? data.validation->count() : 0;
  if (data.train && shape.batch.global > shape.train_images) {
    throw ConfigError("batch",
                      fmt::format("the global batch of {} exceeds the {} training images",
                                  shape.batch.global, shape.train_images),
                      "lower batch.per_rank, batch.accumulation or the number of ranks");
  }
  const Course course(config, shape.train_images, shape.batch.global, false);
  shape.steps_per_epoch = course.steps_per_epoch();
  shape.total_steps = course.total_steps({});
  shape.effective_lr = LrSchedule(config.optimizer, config.schedule, shape.batch.global,
                                  shape.train_images, config.run.epochs)
                           .effective_lr();
  shape.cost = model_cost(config.model, config.data.size);
  shape.needed_bytes = memory_estimate(config, shape);
  return shape;
}

std::string plan(const RunConfig& config, const RunShape& shape) {
  std::string text = to_table(config, shape) + "  learning rate by epoch:";
  const LrSchedule schedule(config.optimizer, config.schedule, shape.batch.global,
                            shape.train_images, config.run.epochs);
  double before = -1;
  for (int64_t epoch = 0; epoch < config.run.epochs; ++epoch) {
    const double lr = schedule.at({epoch, 0});
    if (lr != before) text += fmt::format(" {}:{:.4g}", epoch + 1, lr);
    before = lr;
  }
  return text + "\n";
}

// What the checkpoint was trained with counts, but for what the user names.
void follow_checkpoint(const CommandLine& line, const DataRecord& data, RunConfig& config) {
  const std::vector<std::string> named = named_keys(line.config, line.overrides);
  const auto is_named = [&](const char* key) { return std::ranges::binary_search(named, key); };
  if (!is_named("data.recipe")) config.data.recipe = data.recipe;
  if (!is_named("data.size")) config.data.size = data.size;
  if (!is_named("data.resize")) config.data.resize = data.resize;
  if (config.model.classes == 0) config.model.classes = data.classes;
}

void check_class_names(const DataSets& sets, const DataRecord& trained, const RunOptions& run) {
  DataRecord now = trained;
  now.class_names = sets.reference().class_names();
  const std::string changed = difference(trained, now);
  if (changed.empty() || run.accept_new_data) return;
  throw DataError(sets.reference().path(),
                  "its classes are not those that the checkpoint was trained with: " + changed,
                  "pack it with the same classes, or set run.accept_new_data=true");
}

// Weights that the user names count, not those that lie around.
std::string evaluate_only(const CommandLine& line, RunConfig config, const DataSets& sets,
                          Communicator& communicator, at::Device device) {
  RunStore store(posix_files(), config.run.output, config.checkpoint.keep);
  StartPoint start;
  if (config.model.pretrained.empty()) {
    start = agree_on_weights(communicator, &store, config.run);
    if (!start.resumed) {
      throw ConfigError("run.output", "there is no checkpoint in " + config.run.output,
                        "train first, or set model.pretrained or run.resume to a file");
    }
  }
  if (start.data) follow_checkpoint(line, *start.data, config);
  config.model.classes = sets.classes(config.model.classes);
  DataRecord data = describe(sets, config.data, config.model.classes);
  if (start.data) {
    check_class_names(sets, *start.data, config.run);
    data.mean = start.data->mean;
    data.std = start.data->std;
  }
  check_ranks_agree(config, data, communicator);
  const Precision precision(config.precision, device);
  ResNeXt model = make_model(config, start.state ? &*start.state : nullptr, communicator);
  model.to(device, precision.parameter_type(), precision.channels_last());
  broadcast_tensors(communicator, model.parameters());
  broadcast_tensors(communicator, model.statistics());
  const auto input =
      make_input(*sets.validation, data, config, precision,
                 resolve_batch(config.batch, communicator.size()), communicator, device,
                 /*training=*/false);
  const auto a = evaluate(model, precision, *input, communicator, device, stop_signalled);
  if (!a) return "";
  return fmt::format("top-1 {:.3f} %  top-5 {:.3f} %  loss {:.5f}  images {}\n", a->top1, a->top5,
                     a->loss, a->images);
}

// On a GPU, once, on rank 0: grouped convolutions may be slower in channels-last.
void warn_of_slow_layout(const RunConfig& config, const RunShape& shape,
                         const Communicator& communicator, const ComputeDevice& device) {
  if (!device.is_gpu() || communicator.rank() != 0 || !config.precision.channels_last) return;
  const auto timings = time_grouped_convolutions(
      config.model, shape.batch.per_rank, config.data.size, device.torch(),
      Precision(config.precision, device.torch()).compute_type());
  const std::string warning = slower_layout_warning(timings);
  if (!warning.empty()) spdlog::warn("{}", warning);
}

// A restart of the launcher, or a job that Slurm has queued again.
bool starts_again() {
  const char* requeued = std::getenv("SLURM_RESTART_COUNT");
  return std::getenv("RESNEXT_RESTART") != nullptr || (requeued && std::atoi(requeued) > 0);
}

// Everything of a run that trains, in the order in which it is built.
class TrainingRun {
 public:
  // `leads`: this rank is the first of its host.
  TrainingRun(const RunConfig& config, const RunShape& shape, const DataSets& sets,
              const DataRecord& data, Communicator& communicator, const ComputeDevice& device,
              bool leads)
      : config_(config), communicator_(communicator) {
    if (communicator.rank() == 0) {
      store_.emplace(posix_files(), config.run.output, config.checkpoint.keep);
    }
    if (leads && !config.checkpoint.local.empty()) {
      snapshots_.emplace(posix_files(), config.checkpoint.local, config.run.output);
    }
    start_ = agree_on_start(communicator, store(), snapshots(), config.run, data, starts_again());
    if (config.log.timeline) timeline_.emplace(config.run.output, communicator.rank());
    meters_ = Meters(timeline_ ? &*timeline_ : nullptr, device.is_gpu());
    learner_.emplace(config, shape.batch, sets, data, communicator, device, meters_,
                     start_.resumed ? &start_.progress : nullptr,
                     start_.state ? &*start_.state : nullptr);
    check_agreement(communicator,
                    {{"progress", to_json(start_.progress).dump(1), ExitCode::kInternal, ""}});
    const RunIdentity identity = create_folder(shape);
    start_.state.reset();  // its memory
    trainer_.emplace(config,
                     TrainerParts{communicator, *learner_, meters_, shape.batch.global, data,
                                  identity, snapshots(), store(), log(), stop_signalled},
                     start_.progress, !start_.from_snapshot);
  }

  ExitCode run() { return trainer_->run(); }

 private:
  RunStore* store() { return store_ ? &*store_ : nullptr; }
  RunLog* log() { return log_ ? &*log_ : nullptr; }
  LocalSnapshots* snapshots() { return snapshots_ ? &*snapshots_ : nullptr; }

  // Last, once nothing else can be refused.
  RunIdentity create_folder(const RunShape& shape) {
    const std::string identity = decide(communicator_, [&] {
      const bool validated = start_.progress.validated || !start_.progress.validation_due;
      store_->begin(start_.saved, lost());
      log_.emplace(config_, shape, posix_files(),
                   KeptLines{start_.progress.step, validated, store_->left_a_line()});
      return to_text(store_->identity());
    });
    return to_identity(identity);
  }

  // A run of which only a snapshot is left.
  RunIdentity lost() const {
    if (!start_.from_snapshot || start_.saved) return {};
    return {start_.state->manifest.run, start_.state->manifest.lineage};
  }

  const RunConfig& config_;
  Communicator& communicator_;
  std::optional<RunStore> store_;            // on rank 0
  std::optional<LocalSnapshots> snapshots_;  // on the first rank of a host
  StartPoint start_;
  std::optional<Timeline> timeline_;
  Meters meters_;
  std::optional<NetworkLearner> learner_;
  std::optional<RunLog> log_;  // on rank 0
  std::optional<Trainer> trainer_;
};

}  // namespace

ExitCode run_session(const CommandLine& line, const MpiEnvironment& environment) {
  if (line.action == Action::kAllReduce) {
    CommOptions options;
    options.timeout_s = 60;  // a check should not make anybody wait
    const ComputeDevice device(select_cuda_device(options.backend, environment));
    const auto communicator = make_communicator(options, environment, device.for_communicator());
    print(environment, measure_all_reduce(*communicator, device.torch()) + "\n");
    return ExitCode::kOk;
  }
  RunConfig config = load_config(line);
  if (line.action == Action::kPrintConfig) {
    print(environment, to_yaml(config));
    return ExitCode::kOk;
  }
  const DataSets sets(config.data, line.action != Action::kEvaluate);
  const ComputeDevice device(select_cuda_device(config.comm.backend, environment));
  const std::unique_ptr<Communicator> communicator =
      make_communicator(config.comm, environment, device.for_communicator());
  const int threads = compute_threads(*communicator);
  set_up_torch(config, threads);
  if (line.action == Action::kEvaluate) {
    const std::string result = evaluate_only(line, config, sets, *communicator, device.torch());
    print(environment, result);
    return result.empty() ? ExitCode::kStopped : ExitCode::kOk;
  }
  config.model.classes = sets.classes(config.model.classes);
  const RunShape shape =
      shape_of(config, sets, environment, std::string(communicator->name()), device, threads);
  const DataRecord data = describe(sets, config.data, config.model.classes);
  check_ranks_agree(config, data, *communicator);
  if (line.action == Action::kPlan) {
    print(environment, plan(config, shape));
    return ExitCode::kOk;
  }
  check_statistics(config, shape);
  check_memory(shape);
  warn_of_slow_layout(config, shape, *communicator, device);
  return TrainingRun(config, shape, sets, data, *communicator, device,
                     environment.local_rank() == 0)
      .run();
}

}  // namespace resnext
