// SPDX-License-Identifier: BSD-3-Clause
#include "worker/session.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "comm/common/file_system.h"
#include "comm/common/launched.h"
#include "comm/make_communicator.h"
#include "comm/watch/watch.h"
#include "configs/yaml_reader.h"
#include "model/layout_timing.h"
#include "worker/bandwidth.h"
#include "worker/device/cores.h"
#include "worker/device/device.h"
#include "worker/evaluation.h"
#include "worker/input/data_sets.h"
#include "worker/network_learner.h"
#include "worker/saved_weights.h"
#include "worker/stop_signal.h"
#include "worker/training_run.h"

namespace resnext {
namespace {

void print(const MpiEnvironment& environment, const std::string& text) {
  if (environment.rank() != 0) return;
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

RunConfig load_config(const CommandLine& line) {
  RunConfig config = read_run_config(line.config, line.overrides);
  if (config.run.name.empty()) config.run.name = std::filesystem::path(line.config).stem().string();
  return config;
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

std::string to_line(const Accuracy& a) {
  return fmt::format("top-1 {:.3f} %  top-5 {:.3f} %  loss {:.5f}  images {}\n", a.top1, a.top5,
                     a.loss, a.images);
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
  return std::getenv(kRestartVariable) != nullptr || (requeued && std::atoi(requeued) > 0);
}

}  // namespace

ExitCode run_session(const CommandLine& line, const MpiEnvironment& environment) {
  watch::enter(watch::Phase::kOpen);
  if (line.action == Action::kAllReduce) {
    CommOptions options;
    options.timeout_s = 60;  // a check should not make anybody wait
    watch::set_limit(options.timeout_s);
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
  if (line.action == Action::kExport) {
    const ComputeDevice device(select_cuda_device(config.comm.backend, environment));
    const auto communicator =
        make_communicator(config.comm, environment, device.for_communicator());
    watch::guard([&] { export_saved(line, config, *communicator); });
    return ExitCode::kOk;
  }
  const DataSets sets(config.data, line.action != Action::kEvaluate);
  const ComputeDevice device(select_cuda_device(config.comm.backend, environment));
  const std::unique_ptr<Communicator> communicator =
      make_communicator(config.comm, environment, device.for_communicator());
  const int threads = compute_threads(*communicator);
  set_up_torch(config, threads);
  if (line.action == Action::kEvaluate) {
    const auto accuracy = watch::guard(
        [&] { return evaluate_saved(line, config, sets, *communicator, device.torch()); });
    if (!accuracy) return ExitCode::kStopped;
    print(environment, to_line(*accuracy));
    return ExitCode::kOk;
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
  const Surroundings around{posix_files(),   environment.local_rank() == 0,
                            starts_again(),  stop_signalled,
                            owner_options(), {}};
  const auto learner = [&](Meters& meters, const Progress* progress, const SavedState* state) {
    return std::make_unique<NetworkLearner>(config, shape.batch, sets, data, *communicator, device,
                                            meters, progress, state);
  };
  std::optional<TrainingRun> run;  // a failure is published while it still stands
  return watch::guard([&] {
    run.emplace(config, shape, data, *communicator, around, learner, device.is_gpu());
    return run->run();
  });
}

}  // namespace resnext
