// SPDX-License-Identifier: BSD-3-Clause
#include "worker/session.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <sched.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>

#include "comm/make_communicator.h"
#include "configs/yaml_reader.h"
#include "data/checksum.h"
#include "model/layout_timing.h"
#include "worker/bandwidth.h"
#include "worker/device/device.h"
#include "worker/input/data_sets.h"
#include "worker/trainer.h"

namespace resnext {
namespace {

void print(const MpiEnvironment& environment, const std::string& text) {
  if (environment.rank() != 0) return;
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

// OMP_NUM_THREADS, else an equal share of the cores that this process may use.
int compute_threads(const MpiEnvironment& environment) {
  if (const char* set = std::getenv("OMP_NUM_THREADS")) return std::max(1, std::atoi(set));
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const bool known = sched_getaffinity(0, sizeof cores, &cores) == 0;
  return std::max(1, known ? CPU_COUNT(&cores) / environment.local_size() : 1);
}

RunConfig load_config(const CommandLine& line) {
  RunConfig config = read_run_config(line.config, line.overrides);
  if (config.run.name.empty()) config.run.name = std::filesystem::path(line.config).stem().string();
  return config;
}

// Collective. Ranks that read different configurations would train different networks.
void check_ranks_agree(const RunConfig& config, Communicator& communicator) {
  const std::string text = to_yaml(config);
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  int64_t lowest = crc32c(std::span(bytes, text.size())), highest = lowest;
  communicator.all_reduce({&lowest, 1, DataType::kInt64}, ReduceOp::kMin);
  communicator.all_reduce({&highest, 1, DataType::kInt64}, ReduceOp::kMax);
  if (lowest == highest) return;
  throw ConfigError("configuration", "it is not the same on all ranks",
                    "give every rank the same file and overrides, and the same data set");
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
  shape.steps_per_epoch = shape.train_images / shape.batch.global;
  if (data.train && shape.steps_per_epoch == 0) {
    throw ConfigError("batch",
                      fmt::format("the global batch of {} exceeds the {} training images",
                                  shape.batch.global, shape.train_images),
                      "lower batch.per_rank, batch.accumulation or the number of ranks");
  }
  shape.total_steps = shape.steps_per_epoch * config.run.epochs;
  if (config.run.steps > 0) shape.total_steps = std::min(shape.total_steps, config.run.steps);
  shape.effective_lr = LrSchedule(config.optimizer, config.schedule, shape.batch.global,
                                  shape.steps_per_epoch, config.run.epochs)
                           .effective_lr();
  shape.cost = model_cost(config.model, config.data.size);
  shape.needed_bytes = memory_estimate(config, shape);
  return shape;
}

std::string plan(const RunConfig& config, const RunShape& shape) {
  std::string text = to_table(config, shape) + "  learning rate by epoch:";
  const LrSchedule schedule(config.optimizer, config.schedule, shape.batch.global,
                            shape.steps_per_epoch, config.run.epochs);
  double before = -1;
  for (int64_t epoch = 0; epoch < config.run.epochs; ++epoch) {
    const double lr = schedule.at(epoch * shape.steps_per_epoch);
    if (lr != before) text += fmt::format(" {}:{:.4g}", epoch + 1, lr);
    before = lr;
  }
  return text + "\n";
}

std::string evaluate_only(const RunConfig& config, const DataSets& data, const BatchOptions& batch,
                          Communicator& communicator, at::Device device) {
  const Precision precision(config.precision, device);
  const std::optional<Checkpoint> checkpoint = find_checkpoint(config.run);
  if (!checkpoint && config.model.pretrained.empty()) {
    throw ConfigError("run.output", "there is no checkpoint in " + config.run.output,
                      "train first, or set model.pretrained or run.resume to a file");
  }
  ResNeXt model = make_model(config, checkpoint);
  model.to(device, precision.parameter_type(), precision.channels_last());
  const auto input = make_validation_input(data, config, batch, precision, communicator, device);
  const Accuracy a = evaluate(model, precision, *input, communicator, device);
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
  const DataSets data(config.data, line.action != Action::kEvaluate);
  config.model.classes = data.classes(config.model.classes);
  const int threads = compute_threads(environment);
  set_up_torch(config, threads);
  const ComputeDevice device(select_cuda_device(config.comm.backend, environment));
  const std::unique_ptr<Communicator> communicator =
      make_communicator(config.comm, environment, device.for_communicator());
  check_ranks_agree(config, *communicator);
  const RunShape shape =
      shape_of(config, data, environment, std::string(communicator->name()), device, threads);
  if (line.action == Action::kPlan) {
    print(environment, plan(config, shape));
    return ExitCode::kOk;
  }
  if (line.action == Action::kEvaluate) {
    print(environment, evaluate_only(config, data, shape.batch, *communicator, device.torch()));
    return ExitCode::kOk;
  }
  check_memory(shape);
  warn_of_slow_layout(config, shape, *communicator, device);
  return Trainer(config, shape, data, *communicator, device).run();
}

}  // namespace resnext
