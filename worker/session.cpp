// SPDX-License-Identifier: BSD-3-Clause
#include "worker/session.h"

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
#include "model/network/layout_timing.h"
#include "worker/bandwidth.h"
#include "worker/device/cores.h"
#include "worker/device/device.h"
#include "worker/device/instruction_set.h"
#include "worker/device/torch_set_up.h"
#include "worker/inference/saved_network.h"
#include "worker/inference/use_network.h"
#include "worker/input/data_sets.h"
#include "worker/network_learner.h"
#include "worker/plan.h"
#include "worker/step/norm_group.h"
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
  constexpr int64_t kImagenetClasses = 1000;
  int64_t& classes = config.data.synthetic.classes;
  if (classes == 0) classes = config.model.classes > 0 ? config.model.classes : kImagenetClasses;
  return config;
}

RunShape shape_of(const RunConfig& config, const ImageCounts& images,
                  const MpiEnvironment& environment, const std::string& backend,
                  const ComputeDevice& device, int threads) {
  RunShape shape;
  shape.world_size = environment.size();
  shape.backend = backend;
  shape.device = device.name();
  shape.device_bytes = device.memory_bytes();
  shape.threads = threads;
  shape.batch = resolve_batch(config.batch, environment.size());
  shape.norm_ranks = norm_ranks(config.model, environment.size());
  shape.train_images = images.train;
  shape.validation_images = images.validation;
  if (images.train > 0 && shape.batch.global > shape.train_images) {
    throw ConfigError("batch",
                      fmt::format("the global batch of {} exceeds the {} training images",
                                  shape.batch.global, shape.train_images),
                      "lower batch.per_rank, batch.accumulation or the number of ranks");
  }
  if ((config.mix.mixup > 0 || config.mix.cutmix > 0) && shape.batch.per_rank % 2 != 0) {
    throw ConfigError(
        "mix",
        fmt::format("images are mixed in pairs, but a micro-batch has {}", shape.batch.per_rank),
        "give batch.per_rank, or batch.global for each rank, an even number");
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

// On a GPU, as grouped convolutions may be slower in channels-last. Takes seconds to minutes.
std::string layout_text(const RunConfig& config, const RunShape& shape,
                        const ComputeDevice& device) {
  if (!device.is_gpu() || !config.precision.channels_last) return "";
  const std::string warning = slower_layout_warning(time_grouped_convolutions(
      config.model, shape.batch.per_rank, config.data.size, device.torch(),
      Precision(config.precision, device.torch()).compute_type()));
  return warning.empty() ? "" : "  memory layout: " + warning + "\n";
}

std::string plan(const RunConfig& config, const RunShape& shape, const ImageCounts& images,
                 const ComputeDevice& device) {
  std::string text = to_table(config, shape) + layout_text(config, shape, device);
  if (!images.origin.empty()) text += fmt::format("  {:<15} {}\n", "images of", images.origin);
  return text + schedule_table(config, shape);
}

// A restart of the launcher, or a job that Slurm has queued again.
bool starts_again() {
  const char* requeued = std::getenv("SLURM_RESTART_COUNT");
  return std::getenv(kRestartVariable) != nullptr || (requeued && std::atoi(requeued) > 0);
}

ImageCounts counts_of(const DataSets& sets, const RunConfig& config, int rank) {
  log_remarks(sets, rank);
  return {sets.train ? sets.train->count() : 0, sets.validation ? sets.validation->count() : 0,
          sets.classes(config.model.classes), ""};
}

// Enough of one for ranks to notice that they plan with others.
DataRecord planned_record(const ImageCounts& images) {
  DataRecord record;
  record.train.count = images.train;
  record.validation.count = images.validation;
  record.classes = images.classes;
  return record;
}

bool needs_data(Action action) {
  return action != Action::kClassify && action != Action::kExport;
}

// Small sums, which the latency decides, and a bucket.
constexpr int64_t kSummedBytes[] = {8 << 10, 1 << 20, 25 << 20};

ExitCode measure(const CommandLine& line, const MpiEnvironment& environment) {
  CommOptions options;
  if (!line.config.empty()) options = read_run_config(line.config, line.overrides).comm;
  options.timeout_s = 60;  // a check should not make anybody wait
  watch::set_limit(options.timeout_s);
  const ComputeDevice device(select_cuda_device(options.backend, environment));
  const auto communicator = make_communicator(options, environment, device.for_communicator());
  for (const int64_t bytes : kSummedBytes) {
    if (!line.json && bytes != kSummedBytes[2]) continue;
    const AllReduceTime time = time_all_reduce(*communicator, device.torch(), bytes);
    print(environment, (line.json ? to_json_line(time) : to_text(time)) + "\n");
  }
  communicator->close();
  return ExitCode::kOk;
}

// bfloat16 on the CPU is as fast as its instructions.
void tell_instructions(const RunConfig& config, const ComputeDevice& device, int rank) {
  if (rank != 0 || device.is_gpu() || config.precision.compute != Compute::kBf16) return;
  const InstructionSet set = instruction_set();
  if (set.has_bf16) {
    spdlog::info("bfloat16 is multiplied by {} instructions", set.name);
    return;
  }
  spdlog::warn(
      "this processor ({}) has no bfloat16 products: precision.compute=bf16 is slower than fp32 "
      "here",
      set.name);
}

ExitCode train(const RunConfig& config, const DataSets& sets, const RunShape& shape,
               const DataRecord& data, Communicator& communicator, const ComputeDevice& device,
               const MpiEnvironment& environment) {
  check_statistics(config, shape);
  check_memory(shape);
  tell_instructions(config, device, environment.rank());
  const Surroundings around{posix_files(),   environment.local_rank() == 0,
                            starts_again(),  stop_signalled,
                            owner_options(), {}};
  const HostShare host{environment.local_rank(), environment.local_size()};
  std::unique_ptr<NormGroup> norms;
  const auto learner = [&](Meters& meters, const Progress* progress, const SavedState* state) {
    return std::make_unique<NetworkLearner>(config, shape.batch, sets, data, communicator,
                                            norms.get(), device, host, meters, progress, state);
  };
  std::optional<TrainingRun> run;  // a failure is published while it still stands
  return watch::guard([&] {
    norms = make_norm_group(config.model, communicator);
    run.emplace(config, shape, data, communicator, around, learner, device.is_gpu());
    const ExitCode code = run->run();
    run.reset();  // with the graphs that use the group
    if (norms) norms->close();
    return code;
  });
}

}  // namespace

ExitCode run_session(const CommandLine& line, const MpiEnvironment& environment) {
  watch::enter(watch::Phase::kOpen);
  if (line.action == Action::kAllReduce) return measure(line, environment);
  RunConfig config = load_config(line);
  if (line.action == Action::kPrintConfig) {
    print(environment, to_yaml(config));
    return ExitCode::kOk;
  }
  std::optional<ImageCounts> images;
  if (line.action == Action::kPlan) images = counts_without_data(config, line.image_counts);
  std::optional<DataSets> opened;
  if (needs_data(line.action) && !images) opened.emplace(config.data, !uses_network(line.action));
  const ComputeDevice device(select_cuda_device(config.comm.backend, environment));
  const std::unique_ptr<Communicator> communicator =
      make_communicator(config.comm, environment, device.for_communicator());
  const int threads = compute_threads(*communicator);
  set_up_torch(config.run.deterministic, threads);
  ExitCode code = ExitCode::kOk;
  if (uses_network(line.action)) {
    code = use_network(line, config, opened ? &*opened : nullptr, *communicator, device);
  } else {
    if (opened) images = counts_of(*opened, config, environment.rank());
    config.model.classes = images->classes;
    const RunShape shape =
        shape_of(config, *images, environment, std::string(communicator->name()), device, threads);
    const DataRecord data =
        opened ? describe(*opened, config.data, config.model.classes) : planned_record(*images);
    check_ranks_agree(config, data, *communicator);
    if (line.action == Action::kPlan) {
      if (environment.rank() == 0) print(environment, plan(config, shape, *images, device));
    } else {
      code = train(config, *opened, shape, data, *communicator, device, environment);
    }
  }
  watch::guard([&] { communicator->close(); });
  return code;
}

}  // namespace resnext
